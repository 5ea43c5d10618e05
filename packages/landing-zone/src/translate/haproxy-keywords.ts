/** What of HAProxy is the same in every section: what needs nothing on AWS, and what has no successor. */
import type { Statement } from './config-text.ts'
import type { Left, Outcome, Outcomes } from './outcome.ts'

/** What is the same everywhere: nothing to do, or nothing that can be done. */
export function ordinary(statement: Statement, outcomes: Outcomes): Outcome {
  const [keyword = '', value = '', third = ''] = statement.words
  const isNegated = keyword === 'no'
  const bare = isNegated ? value : keyword
  const option = bare === 'option' ? (isNegated ? third : value) : undefined
  const as = bare.startsWith('tune.') ? 'the balancer of AWS tunes itself' : notNeeded[bare]
  if (as) return outcomes.notNeeded(statement, keyword, as)
  if (option && optionsNotNeeded.includes(option)) {
    return outcomes.notNeeded(statement, `option ${option}`, 'balancers of AWS do it')
  }
  if (bare === 'mode' || bare === 'timeout') return outcomes.carried(statement, keyword, 'its service')
  const about = leftBy.find(([pattern]) => pattern.test(bare))?.[1] ?? unknownKeyword
  return outcomes.left(statement, option ? `option ${option}` : keyword, about)
}

const notNeeded: Readonly<Record<string, string>> = {
  ...keywords('the balancer of AWS runs and limits itself', [
    'daemon',
    'user',
    'group',
    'uid',
    'gid',
    'chroot',
    'pidfile',
    'master-worker',
    'nbproc',
    'nbthread',
    'cpu-map',
    'maxconn',
    'fullconn',
    'ulimit-n',
    'localpeer',
    'node',
    'description',
    'presetenv',
    'setenv',
    'ca-base',
    'crt-base',
    'set-dumpable',
    'insecure-fork-wanted',
    'hard-stop-after',
    'spread-checks',
    'backlog',
    'enabled',
    'id',
  ]),
  ...keywords('access logs of the balancer', [
    'log',
    'log-send-hostname',
    'log-tag',
    'log-format',
    'error-log-format',
    'unique-id-format',
    'unique-id-header',
    'capture',
    'declare',
  ]),
  ...keywords('retries and health checks of the target group', [
    'retries',
    'retry-on',
    'http-reuse',
    'hash-type',
    'persist',
    'fall',
    'rise',
    'inter',
    'default-server',
    'http-check',
    'tcp-check',
    'load-server-state-from-file',
    'server-state-file',
    'server-state-base',
  ]),
  ...keywords('TLS 1.2 and 1.3 with forward secrecy, by the policy of the listener', [
    'ssl-default-bind-ciphers',
    'ssl-default-bind-ciphersuites',
    'ssl-default-bind-options',
    'ssl-default-server-ciphers',
    'ssl-default-server-ciphersuites',
    'ssl-default-server-options',
    'ssl-server-verify',
    'ssl-dh-param-file',
  ]),
}

/** Of `option …`. */
const optionsNotNeeded: readonly string[] = [
  'httplog',
  'tcplog',
  'dontlognull',
  'dontlog-normal',
  'log-health-checks',
  'log-separate-errors',
  'logasap',
  'forwardfor',
  'http-server-close',
  'http-keep-alive',
  'httpclose',
  'forceclose',
  'redispatch',
  'abortonclose',
  'tcpka',
  'clitcpka',
  'srvtcpka',
  'splice-auto',
  'splice-request',
  'splice-response',
  'contstats',
  'socket-stats',
  'tcp-smart-accept',
  'tcp-smart-connect',
  'tcp-check',
  'prefer-last-server',
  'allbackups',
  'http-ignore-probes',
  'http-use-htx',
  'nolinger',
  'idle-close-on-response',
]

function keywords(as: string, names: readonly string[]): Record<string, string> {
  return Object.fromEntries(names.map((name) => [name, as]))
}

const statistics = {
  id: 'haproxy-stats',
  severity: 'note',
  title: 'The statistics page and socket of HAProxy have no successor.',
  remedy: 'Dashboards and alarms are in the templates; who switched machines by the socket uses Auto Scaling.',
} as const
const lua = {
  id: 'haproxy-lua',
  title: 'Programs inside HAProxy do not run in a balancer of AWS.',
  remedy: 'Move what they do into the service, or keep HAProxy as a service on EC2.',
}
const errorPages = {
  id: 'haproxy-error-pages',
  severity: 'note',
  title: 'Error pages of your own are not shown by a balancer of AWS.',
  remedy: 'Let the service answer them; the balancer’s own 502 to 504 stay plain.',
} as const
const compression = {
  id: 'haproxy-compression',
  title: 'A balancer of AWS does not compress.',
  remedy: 'Compress in the service.',
}
const unknownKeyword = {
  id: 'haproxy-keyword',
  title: 'A setting has no successor here, or is not known.',
  remedy: 'Read it and decide: what it protected or changed is not in the templates.',
}
const leftBy: readonly (readonly [RegExp, Left])[] = [
  [/^stats$/, statistics],
  [/^lua-/, lua],
  [/^error(file|files|loc|loc30.)$/, errorPages],
  [/^compression/, compression],
]
