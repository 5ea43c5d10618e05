import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { debianProgram } from '@replatform/testkit/debian-package'
import { expect, test } from 'vitest'
import { plan } from '../plan/blueprint.ts'
import { proveReachability } from '../reach/prove.ts'
import { graphOf } from '../test-fixtures/graph-of.ts'
import { patienceMs, walletLandingZone } from '../test-fixtures/wallet-estate.ts'
import { type Format, type OldConfig, translate } from './translate.ts'

/** Goal: nothing of an old configuration is lost without a word. Method: files of an old site with a bit of everything. */
const folder = new URL('../test-fixtures/old-site/', import.meta.url)
const old = (format: Format, name: string, machine?: string): OldConfig => ({
  format,
  name,
  text: readFileSync(new URL(name, folder), 'utf8'),
  ...(machine ? { machine } : {}),
  read: (file) => (file.endsWith('updates.txt') ? [{ name: file, text: '# packages\n.debian.example\n' }] : []),
})
const all = [
  old('haproxy', 'haproxy.cfg'),
  old('nginx', 'nginx.conf'),
  old('iptables', 'rules.v4'),
  old('nftables', 'ruleset.nft', 'hooks'),
  old('squid', 'squid.conf'),
]
const zone = {
  ...walletLandingZone,
  stores: {
    ...walletLandingZone.stores,
    merchants: { ...walletLandingZone.stores.merchants, oldAddresses: ['10.0.9.6'] },
  },
} as typeof walletLandingZone
const whole = translate(all, zone)
const findingIds = (translation = whole) => translation.findings.map(({ id }) => id)
const evidenceOf = (id: string) => whole.findings.find((finding) => finding.id === `translate.${id}`)?.evidence

test('a frontend becomes rules, a filter and targets of the service that the estate knows', () => {
  const { gateway } = whole.services
  expect(gateway?.routes?.map(({ reason, ...route }) => route)).toEqual([
    { paths: ['*.php'], deny: 403 },
    { paths: ['/merchants*', '/onboarding*'], to: 'merchants' },
    { hosts: ['hooks.pay.wallet.example'], methods: ['POST'], to: 'hooks' },
  ])
  expect(gateway).toMatchObject({
    port: 8443,
    balance: 'least-outstanding',
    idleTimeoutSeconds: 90,
    // 100 in ten seconds are 3000 in five minutes; the firewall refused one more address.
    filter: { requestsPerFiveMinutes: 3000, deny: ['198.51.100.0/24', '192.0.2.7/32', '192.0.2.200/32'] },
    oldAddresses: ['10.0.1.11', '10.0.1.12'],
    reason: 'Customers and merchants pay through it.',
  })
})

test('a server of nginx becomes a service with its locations in the order in which nginx prefers them', () => {
  const { portal, documents } = whole.services
  expect(portal?.routes?.map(({ reason, ...route }) => route)).toEqual([
    { paths: ['/login'], to: 'portal' },
    { paths: ['/documents/*'], to: 'documents' },
    { paths: ['/internal/*'], sources: ['203.0.113.0/24'], to: 'portal' },
    { paths: ['/internal/*'], deny: 403 },
    { paths: ['/old/*'], redirect: { host: 'archive.wallet.example', path: '/', permanent: true } },
    { paths: ['/.git*'], deny: 403 },
  ])
  expect(portal).toMatchObject({ port: 8080, host: 'portal.wallet.example', idleTimeoutSeconds: 120 })
  expect(documents).toMatchObject({ port: 8090, sticky: true, instances: { least: 1 } })
})

test('rules between addresses become flows between parties', () => {
  const { merchants, gateway, hooks } = whole.services
  expect(merchants?.stores).toContain('merchants')
  expect(merchants?.calls).toEqual(['hooks'])
  expect(merchants?.from).toContain('on-premises')
  expect(gateway?.from).toContain('internet')
  expect(gateway?.calls).toContain('hooks')
  expect(hooks?.from).toEqual(['services', 'on-premises'])
})

test('partners of the proxy become egress of whom it let call them', () => {
  const partners = whole.services.merchants?.egress?.flatMap(({ host, port }) => (host ? `${host}:${port}` : []))
  expect(partners).toEqual([
    'api.bank.example:443',
    'screening.vendor.example:443',
    '*.cards.example:443',
    '*.debian.example:443',
  ])
  expect(whole.services.gateway?.egress?.map(({ host }) => host)).toEqual(['*.debian.example'])
  expect(whole.services.wallet?.egress).toBeUndefined()
})

test('a partner that a firewall let be called by its address is held to it', () => {
  expect(whole.services.merchants?.egress).toContainEqual(
    expect.objectContaining({
      addresses: ['198.51.100.77/32'],
      port: 443,
      reason: expect.stringContaining('rules.v4:20'),
    }),
  )
})

test.each([
  ['haproxy-condition', 'haproxy.cfg:36 use_backend'],
  ['haproxy-not-refused', 'haproxy.cfg:31 http-request deny'],
  ['haproxy-changes-request', 'haproxy.cfg:33 http-request set-header'],
  ['haproxy-standby', 'haproxy.cfg:49 server … backup'],
  ['haproxy-clear-text', 'haproxy.cfg:19 bind'],
  ['haproxy-stats', 'haproxy.cfg:63 stats'],
  ['nginx-pattern', 'nginx.conf:44 location'],
  ['nginx-path-changed', 'nginx.conf:45 proxy_pass'],
  ['nginx-request-headers', 'nginx.conf:34 proxy_set_header'],
  ['nginx-body-size', 'nginx.conf:28 client_max_body_size'],
  ['more-names', 'nginx.conf:23 www.portal.wallet.example'],
  ['firewall-table', 'rules.v4:5 -A POSTROUTING (nat)'],
  ['firewall-open-out', 'rules.v4:10 :OUTPUT ACCEPT'],
  ['firewall-egress-address', 'rules.v4:26 forward'],
  ['firewall-egress-open', 'rules.v4:21 forward'],
  ['firewall-unknown-address', 'rules.v4:22 forward'],
  ['firewall-match', 'rules.v4:23 -A FORWARD … -m recent'],
  ['firewall-match', 'ruleset.nft:16 rule of inet filter input: meter'],
  ['firewall-port', 'ruleset.nft:14 input'],
  ['firewall-table', 'ruleset.nft:26 type nat hook prerouting'],
  ['proxy-without-names', 'squid.conf:15 http_access allow'],
])('%s is told: %s', (id, where) => {
  expect(evidenceOf(id)).toContain(where)
})

test('every statement has an outcome, and no argument of one is shown', () => {
  const told = new Set(whole.outcomes.map(({ file, line }) => `${file}:${line}`))
  // What opens or names a section, and what a set of values goes on with, is no statement of its own.
  const structure =
    /^(\}|[*#].*|COMMIT|global|defaults|(frontend|backend|listen|table|chain|set|http|server|upstream|location) .*\{?|:DB .*|type ipv4_addr|flags .*|elements .*|[\d./, }]+|:(PRE|POST)ROUTING .*|http \{|server \{)$/
  const silent = all.flatMap(({ name, text }) =>
    text.split('\n').flatMap((line, index) => {
      const words = line.trim()
      return words === '' || structure.test(words) || told.has(`${name}:${index + 1}`)
        ? []
        : [`${name}:${index + 1} ${words}`]
    }),
  )
  expect(silent).toEqual([])
  expect(JSON.stringify(whole)).not.toContain('secret-of-the-page')
})

test(
  'what comes out is an estate that synthesises, with listener rules and targets in front of machines',
  () => {
    const { blueprint, findings } = plan({
      estate: 'wallet',
      landingZone: {
        ...zone,
        services: { ...whole.services },
        extras: { firewall: 'An auditor asks for inspection of what goes out.' },
      },
      environment: 'production',
      phase: 'replatform',
    })
    if (!blueprint) throw new Error(JSON.stringify(findings))
    const graph = graphOf(blueprint)
    const rules = graph.ofType('AWS::ElasticLoadBalancingV2::ListenerRule')
    expect(rules).toHaveLength(9)
    const priorities = rules.map(({ properties }) => `${JSON.stringify(properties.ListenerArn)} ${properties.Priority}`)
    expect(new Set(priorities).size).toBe(9)
    const groups = graph.ofType('AWS::ElasticLoadBalancingV2::TargetGroup')
    const joined = graph
      .ofType('AWS::AutoScaling::AutoScalingGroup')
      .flatMap(({ properties }) => graph.named(properties.TargetGroupARNs))
    expect(new Set(joined.map(({ id }) => id))).toEqual(new Set(groups.map(({ id }) => id)))
    expect(graph.ofType('AWS::WAFv2::IPSet')[0]?.properties.Addresses).toContain('198.51.100.0/24')
    // All below a name: DNS writes a star, the firewall a dot.
    expect(JSON.stringify(graph.ofType('AWS::Route53Resolver::FirewallDomainList'))).toContain('"*.cards.example"')
    expect(JSON.stringify(graph.ofType('AWS::NetworkFirewall::RuleGroup'))).toContain('".cards.example"')
    const proof = proveReachability(graph, blueprint)
    expect({ unasked: proof.unasked, closed: proof.closed }).toEqual({ unasked: [], closed: [] })
    expect(proof.wanted.map(({ from, to }) => `${from} ${to}`)).toContain('balancer:gateway service:merchants')
  },
  patienceMs,
)

const only = (format: Format, text: string) => () =>
  translate([{ format, name: 'old.cfg', text }], { services: {}, stores: {} })

const refused = [
  ['haproxy', 'bind :443\n', 1, 'outside of any section'],
  ['haproxy', 'frontend a\n  bind\n', 2, 'bind needs an address'],
  ['haproxy', 'frontend a\n  bind :443\n  default_backend b\n', 3, 'no backend "b"'],
  ['haproxy', 'frontend a\n  use_backend a if missing\nbackend a\n', 2, 'no acl is named "missing"'],
  ['haproxy', 'backend a\nbackend a\n', 2, 'stands on line 1 already'],
  ['haproxy', 'backend a\n  server one\n', 2, 'a name and an address'],
  ['haproxy', 'backend a\n  http-request deny if { path_beg "/x }\n', 2, 'a quote is opened'],
  ['haproxy', 'frontend a\n  http-request deny if { path_beg /x\n', 2, 'in braces is not closed'],
  ['nginx', 'http {\n  server {\n    listen 443\n  }\n}\n', 3, 'has no ";"'],
  ['nginx', 'http {\n  server {\n', 2, 'is not closed'],
  ['nginx', 'http { }\n}\n', 2, 'closes nothing'],
  ['nginx', 'events { }\nhttp {\n  log_format a "b;\n}', 3, 'a quote is opened'],
  ['iptables', '-A INPUT -j ACCEPT\n', 1, 'before any table'],
  ['iptables', '*filter\n:INPUT DROP\n-A INPT -j ACCEPT\nCOMMIT\n', 3, 'no chain is named'],
  [
    'iptables',
    '*filter\n:INPUT DROP [0:0]\n-A INPUT -p tcp --dport 99999 -j ACCEPT\nCOMMIT\n',
    3,
    'a port is no number',
  ],
  ['iptables', '*filter\n:INPUT DROP [0:0]\n', 3, 'has no COMMIT'],
  ['nftables', 'table inet filter {\n chain input {\n', 2, 'is not closed'],
  ['nftables', 'chain input {\n}\n', 1, 'stands in the wrong place'],
  ['squid', 'acl a dstdomain b.example\nhttp_access allow c\n', 2, 'no acl is named "c"'],
  ['squid', 'http_access permit all\n', 1, 'needs allow or deny'],
] as const

test.each(refused)('%s: %j is refused at line %i', (format, text, line, words) => {
  expect(only(format, text)).toThrowError(
    expect.objectContaining({
      code: 'landing-zone.config-invalid',
      message: expect.stringMatching(new RegExp(`old\\.cfg:${line}: .*${words}`)),
    }),
  )
})

test(
  'HAProxy itself accepts what we read, and refuses what we refuse',
  async () => {
    const program = await debianProgram('haproxy', 'haproxy')
    const file = join(mkdtempSync(join(tmpdir(), 'haproxy-')), 'haproxy.cfg')
    const complaintsAbout = (text: string) => {
      writeFileSync(file, text)
      return spawnSync(program, ['-c', '-f', file], { encoding: 'utf8' }).stderr.includes('[ALERT]')
    }
    // Without what names files of that machine.
    const lines = (all[0]?.text ?? '').replaceAll(/ ssl (crt \S+|verify required ca-file \S+)/g, '').split('\n')
    expect(complaintsAbout(lines.filter((line) => !/errorfile|user |group |chroot/.test(line)).join('\n'))).toBe(false)
    const ours = refused.filter(([format]) => format === 'haproxy').map(([, text]) => text)
    expect(ours.filter((text) => !complaintsAbout(text))).toEqual([])
    rmSync(dirname(file), { recursive: true })
  },
  patienceMs,
)

test('without the firewall nobody from outside may come, and that is told', () => {
  const alone = translate([old('haproxy', 'haproxy.cfg')], { services: {}, stores: {} })
  expect(alone.services.gateway).toMatchObject({ from: ['services'] })
  expect(findingIds(alone)).toEqual(
    expect.arrayContaining(['translate.callers-unknown', 'translate.size-unknown', 'translate.filter-inside']),
  )
})
