/** How each kind of place proves who comes in, and how what passes is encrypted. Held to the templates by the rules. */
import type { PlannedStore } from '../plan/blueprint.ts'

export interface Protection {
  readonly authentication: string
  readonly encryption: string
}

/** By the part of a party before its colon. */
export const ofParty: Readonly<Record<string, Protection>> = {
  'balancer': { authentication: 'by the service behind it', encryption: 'TLS 1.2 or 1.3, certificate of ACM' },
  'service': { authentication: 'security group of its balancer', encryption: 'TLS to the machine' },
  'endpoints': { authentication: 'IAM, own account only', encryption: 'TLS of AWS' },
  'objects': { authentication: 'IAM, own buckets only', encryption: 'TLS of AWS' },
  'on-premises': { authentication: 'as there', encryption: 'IKEv2, AES-256-GCM' },
}

export const ofTunnel: Protection = {
  authentication: 'a key for each tunnel, made by AWS',
  encryption: 'IKEv2, AES-256-GCM, SHA-384, group 20',
}

export const ofPeople: Protection = {
  authentication: 'identity provider (SAML) with a second factor; a session of 8 h at most',
  encryption: 'TLS of the client VPN',
}

export const ofIncidents: Protection = {
  authentication: 'services of the own account only',
  encryption: 'TLS to the topic; e-mail from there, without data of payments',
}

const tls = 'TLS required'
export const ofStore: Readonly<Record<PlannedStore['form'], Protection>> = {
  'ec2': { authentication: 'as on the old machine', encryption: 'as on the old machine; disk under own key' },
  'rds': {
    authentication: 'password that rotates; IAM where the engine has it',
    encryption: `${tls}; disk under own key`,
  },
  'documentdb': { authentication: 'password that rotates', encryption: `${tls}; disk under own key` },
  'elasticache': { authentication: 'users with passwords', encryption: `${tls}; at rest under own key` },
  'amazon-mq-activemq': { authentication: 'users of the broker', encryption: `${tls}; disk under own key` },
  'amazon-mq-rabbitmq': { authentication: 'users of the broker', encryption: `${tls}; disk under own key` },
  'opensearch': { authentication: 'fine-grained users', encryption: `${tls}; between nodes too; disk under own key` },
  's3': { authentication: 'IAM', encryption: `${tls}; objects under own key` },
  'efs': { authentication: 'mount target, security group', encryption: `${tls}; at rest under own key` },
  'fsx': { authentication: 'Active Directory', encryption: 'SMB 3 encryption; at rest under own key' },
}
