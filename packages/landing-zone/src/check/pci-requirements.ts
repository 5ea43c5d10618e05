/**
 * Requirements of PCI-DSS 4.0.1 that the AWS side touches, in short words of our own, and what of each stays with the
 * user whatever the templates hold. Which rules give evidence stands at the rules themselves.
 */
export interface PciRequirement {
  readonly id: string
  readonly topic: string
  readonly staysWithYou: string
}

export const pciRequirements: readonly PciRequirement[] = [
  {
    id: '1.2.1',
    topic: 'configuration standards of network controls',
    staysWithYou: 'approve the standard; this repository can be it',
  },
  {
    id: '1.2.2',
    topic: 'changes of the network are controlled',
    staysWithYou: 'review `infra diff` in your change procedure',
  },
  { id: '1.2.4', topic: 'data-flow diagram', staysWithYou: 'add flows of people and paper' },
  { id: '1.2.5', topic: 'services, protocols and ports have a reason', staysWithYou: 'approve the reasons' },
  { id: '1.2.6', topic: 'insecure protocols are mitigated', staysWithYou: 'nothing, while none is described' },
  { id: '1.2.7', topic: 'rules are reviewed every six months', staysWithYou: 'the review' },
  { id: '1.3.1', topic: 'traffic into the card data environment is limited', staysWithYou: 'decide what is in scope' },
  { id: '1.3.2', topic: 'traffic out of it is limited', staysWithYou: 'keep the list of partners true' },
  { id: '1.4.2', topic: 'from untrusted networks only what is allowed', staysWithYou: 'nothing' },
  {
    id: '1.4.4',
    topic: 'stored card data is not reachable from outside',
    staysWithYou: 'declare which stores hold it',
  },
  { id: '2.2.1', topic: 'components are hardened', staysWithYou: 'the images of machines' },
  { id: '2.2.2', topic: 'defaults of vendors are changed', staysWithYou: 'inside your images' },
  { id: '2.2.4', topic: 'only necessary services', staysWithYou: 'inside your images' },
  { id: '2.2.6', topic: 'security parameters against misuse', staysWithYou: 'inside your images' },
  { id: '2.2.7', topic: 'administration is encrypted', staysWithYou: 'nothing' },
  { id: '3.2.1', topic: 'least storage of card data', staysWithYou: 'retention and disposal; snapshots included' },
  {
    id: '3.5.1',
    topic: 'card numbers are unreadable where stored',
    staysWithYou: 'tokens or encryption of fields in the application',
  },
  { id: '3.5.1.2', topic: 'disk encryption alone is not enough', staysWithYou: 'the same' },
  { id: '3.6.1', topic: 'keys are protected', staysWithYou: 'custodians, and keys of the application' },
  { id: '3.6.1.1', topic: 'description of the cryptography', staysWithYou: 'write it' },
  { id: '3.7.4', topic: 'keys change at the end of their time', staysWithYou: 'keys of the application' },
  {
    id: '4.2.1',
    topic: 'strong cryptography in transit',
    staysWithYou: 'certificates of machines; clients that verify them',
  },
  { id: '5.2.1', topic: 'anti-malware', staysWithYou: 'machines outside AWS' },
  { id: '6.2.4', topic: 'attacks on software are prevented', staysWithYou: 'the software' },
  { id: '6.3.3', topic: 'patches', staysWithYou: 'the software, and critical patches within a month' },
  { id: '6.4.2', topic: 'public web applications are filtered', staysWithYou: 'tune the filter' },
  { id: '6.5.3', topic: 'environments are separate', staysWithYou: 'rights of people in each' },
  { id: '6.5.5', topic: 'no live card numbers outside production', staysWithYou: 'test data' },
  { id: '7.2.2', topic: 'least privilege of people', staysWithYou: 'the groups of the identity provider' },
  { id: '7.2.5', topic: 'least privilege of systems', staysWithYou: 'users inside the stores' },
  { id: '8.2.1', topic: 'everyone has an identity', staysWithYou: 'the identity provider' },
  { id: '8.2.2', topic: 'no shared accounts', staysWithYou: 'the identity provider' },
  { id: '8.3.2', topic: 'credentials are unreadable', staysWithYou: 'the software' },
  {
    id: '8.4.2',
    topic: 'second factor into the card data environment',
    staysWithYou: 'the identity provider asks for it',
  },
  { id: '8.4.3', topic: 'second factor from remote', staysWithYou: 'the same' },
  { id: '8.6.2', topic: 'no passwords in code', staysWithYou: 'the software' },
  {
    id: '8.6.3',
    topic: 'passwords of systems change',
    staysWithYou: 'ElastiCache and ActiveMQ by hand; told as a finding',
  },
  { id: '9.4.1', topic: 'media with card data are secure', staysWithYou: 'media outside AWS' },
  { id: '10.2.1', topic: 'audit logs', staysWithYou: 'logs of the software' },
  { id: '10.3.1', topic: 'who may read logs', staysWithYou: 'rights of people' },
  { id: '10.3.2', topic: 'logs cannot be changed', staysWithYou: 'nothing' },
  { id: '10.3.3', topic: 'logs are backed up', staysWithYou: 'nothing' },
  { id: '10.3.4', topic: 'changes of logs are noticed', staysWithYou: 'read the digests when it matters' },
  { id: '10.4.1', topic: 'logs are reviewed daily', staysWithYou: 'somebody reads the incidents' },
  { id: '10.4.1.1', topic: 'by machines', staysWithYou: 'nothing' },
  { id: '10.5.1', topic: 'twelve months', staysWithYou: 'nothing' },
  { id: '10.7.2', topic: 'failures of controls are noticed', staysWithYou: 'respond' },
  { id: '10.7.3', topic: 'and responded to', staysWithYou: 'respond' },
  { id: '11.3.1', topic: 'vulnerability scans', staysWithYou: 'the quarterly scan and its rescan' },
  { id: '11.5.1', topic: 'intrusion detection', staysWithYou: 'respond' },
  { id: '11.5.2', topic: 'changes of files are noticed', staysWithYou: 'inside your images' },
  { id: '12.4.2', topic: 'reviews that controls are followed', staysWithYou: 'the review' },
  { id: '12.5.1', topic: 'inventory', staysWithYou: 'what is outside the estate file' },
  { id: '12.5.2', topic: 'scope is confirmed', staysWithYou: 'confirm it every twelve months' },
  { id: '12.10.3', topic: 'somebody is on call', staysWithYou: 'the rota' },
  { id: '12.10.5', topic: 'alerts are part of incident response', staysWithYou: 'the plan' },
]
