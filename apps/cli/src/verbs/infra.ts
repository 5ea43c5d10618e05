import { ReplatformError } from '@replatform/core/errors'
import { nearest } from '@replatform/core/nearest'
import type { Verb } from '../verb.ts'

/** Loaded only when one of them runs: the constructs are large, and a cutover must not wait for them. */
const actions = {
  synth: () => import('../infra/synth.ts'),
  check: () => import('../infra/check.ts'),
  explain: () => import('../infra/explain.ts'),
  diff: () => import('../infra/diff.ts'),
  environments: () => import('../infra/environments.ts'),
  draw: () => import('../infra/draw.ts'),
  prove: () => import('../infra/prove.ts'),
  register: () => import('../infra/register.ts'),
  site: () => import('../infra/site.ts'),
  eject: () => import('../infra/eject.ts'),
  translate: () => import('../infra/translate.ts'),
} as const
type Action = keyof typeof actions

export const infra: Verb = {
  name: 'infra',
  summary: 'generate the AWS side, and prove what it opens',
  description: [
    'Works on the landing zone that the estate file describes; needs no account and asks none.',
    'synth: write the templates of one environment.',
    'check: hold them against our rules, and what they open against the flows that the estate asks for.',
    'explain: requirement → resources → monthly cost, what was left out and from where on it would pay.',
    'diff: what changes from one phase to the next (or from --against), and what that replaces.',
    'environments: in what they differ, and that they share nothing.',
    'draw: the architecture as SVG, drawn from the templates; or who sends what to whom (--data-flow).',
    'prove: write the script that shows in an account what templates cannot.',
    'register: every interface, with its owner, its protection, its reason and its alarm.',
    'site: what the routers of the old site need for the tunnels.',
    'eject: write a CDK project that belongs to you, with the constructs as a package in it.',
    'translate: read old balancers, firewalls and proxies into services of the estate; what cannot be carried is told with its line.',
  ].join('\n'),
  example: [
    'replatform infra synth --environment production --out landing-zone',
    'replatform infra check --phase rehost',
    'replatform infra diff --against rehost --phase transition',
    'replatform infra translate --haproxy haproxy.cfg --squid squid.conf',
  ].join('\n'),
  exits: ['ok', 'refused', 'usage', 'failed'],
  configure: (command) => {
    command
      .argument('[action]', Object.keys(actions).join(', '))
      .option('--environment <name>', 'an environment of landingZone', 'production')
      .option('--phase <phase>', 'rehost, transition, replatform or finalized', 'replatform')
      .option(
        '--out <path>',
        'where to write: a folder for synth, site and eject, a file for draw, prove and translate',
      )
      .option('--against <phase|folder>', 'diff and draw: a phase, or the folder of an earlier synth')
      .option('--data-flow', 'draw: the flows of data, with protocol, encryption and card numbers')
      .option('--prices <file>', 'explain: prices of your own instead of the snapshot that comes along')
      .option('--haproxy <file>', 'translate: a haproxy.cfg; may be repeated, as those below', repeated)
      .option('--nginx <file>', 'translate: an nginx.conf, with what it includes', repeated)
      .option(
        '--iptables <[name=]file>',
        'translate: what iptables-save printed; of the machine of a service or store',
        repeated,
      )
      .option('--nftables <[name=]file>', 'translate: what nft list ruleset printed', repeated)
      .option('--squid <file>', 'translate: the squid.conf of a forward proxy', repeated)
  },
  async run(invocation, options, action) {
    // Whatever is asked for, an estate file that cannot be read is told first.
    void invocation.estate
    const { run } = await actions[actionNamed(action ?? '')]()
    return run(invocation, options)
  },
}

function repeated(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, value]
}

function actionNamed(text: string): Action {
  if (text in actions) return text as Action
  const known = Object.keys(actions)
  if (text === '') throw new ReplatformError('usage', { message: `Name an action: ${known.join(', ')}.` })
  const meant = nearest(text, known)
  throw new ReplatformError('usage', {
    message: `infra has no action "${text}". ${meant ? `Did you mean "${meant}"?` : `There are: ${known.join(', ')}.`}`,
  })
}
