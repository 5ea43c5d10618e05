/** Reads an nginx.conf into fronts and pools: `http` and `stream`, their upstreams, servers and locations. */
import { type Block, type ConfigFile, syntaxError } from './config-text.ts'
import type { Front, Fronts, Member, Pool } from './front.ts'
import { limitOther, memberOf, ordinaryNginx, unknownDirective } from './nginx-directives.ts'
import { parseNginx } from './nginx-parser.ts'
import { NginxServer } from './nginx-server.ts'
import type { Left, Outcomes } from './outcome.ts'

/** A limit of `limit_req_zone`, by the name of its zone; null where it counts something else than addresses. */
export type Limits = ReadonlyMap<string, number | null>

/** Throws `landing-zone.config-invalid`. */
export function readNginx(config: ConfigFile, outcomes: Outcomes): Fronts {
  const pools: Pool[] = []
  const fronts: Front[] = []
  for (const block of parseNginx(config)) {
    const [keyword = ''] = block.words
    if (keyword === 'http' || keyword === 'stream') {
      const context = readContext(block, outcomes)
      pools.push(...context.pools)
      fronts.push(...context.fronts)
    } else if (['events', 'mail'].includes(keyword)) leaveOrDrop(block, keyword, outcomes)
    else ordinaryNginx(block, outcomes)
  }
  return { fronts, pools }
}

function readContext(context: Block, outcomes: Outcomes): Fronts {
  const isHttp = context.words[0] === 'http'
  if (!context.body) syntaxError(context, `"${context.words[0]}" needs a block.`)
  const limits = new Map<string, number | null>()
  const pools = new Map<string, Pool>()
  const servers: Block[] = []
  for (const block of context.body) {
    const [keyword = '', name = ''] = block.words
    if (keyword === 'upstream') pools.set(name, poolOf(block, outcomes))
    else if (keyword === 'server') servers.push(block)
    else if (keyword === 'limit_req_zone') readLimit(block, limits, outcomes)
    else ordinaryNginx(block, outcomes)
  }
  const fronts = servers.flatMap((server) => new NginxServer({ server, pools, limits, outcomes, isHttp }).read())
  return { fronts, pools: [...pools.values()] }
}

function poolOf(block: Block, outcomes: Outcomes): Pool {
  const { file, line, words, body } = block
  const [, name = ''] = words
  if (!name || !body) syntaxError(block, 'an upstream needs a name and a block.')
  const members: Member[] = []
  const weights = new Set<string>()
  let [balance, sticky]: [Pool['balance'], boolean] = [undefined, false]
  for (const statement of body) {
    const [keyword = '', address = '', ...settings] = statement.words
    if (keyword === 'server') {
      const member = memberOf(address)
      if (!address) syntaxError(statement, 'a server needs an address.')
      const isOff = settings.includes('down')
      for (const word of ['backup', 'down']) {
        if (settings.includes(word)) outcomes.left(statement, `server … ${word}`, standby)
      }
      weights.add(settings.find((setting) => setting.startsWith('weight=')) ?? '')
      if (member && !isOff) members.push(member)
      if (member) outcomes.carried(statement, keyword, `a machine of ${name}`)
      else outcomes.left(statement, keyword, unreadable)
    } else if (keyword === 'least_conn') {
      balance = 'least-outstanding'
      outcomes.carried(statement, keyword, `balance of ${name}`)
    } else if (keyword === 'ip_hash' || keyword === 'sticky') {
      sticky = true
      outcomes.carried(statement, keyword, `sticky of ${name}, by a cookie`)
    } else if (keyword === 'keepalive' || keyword.startsWith('keepalive_') || keyword === 'zone') {
      outcomes.notNeeded(statement, keyword, 'balancers of AWS do it')
    } else outcomes.left(statement, keyword, unknownDirective)
  }
  if (weights.size > 1) outcomes.left({ file, line }, `weights of ${name}`, weighted)
  return { name, file, line, members, ...(balance ? { balance } : {}), ...(sticky ? { sticky } : {}) }
}

/** `limit_req_zone $binary_remote_addr zone=name:10m rate=10r/s`. */
function readLimit(block: Block, limits: Map<string, number | null>, outcomes: Outcomes): void {
  const [, key = '', ...settings] = block.words
  const zone = settings
    .find((word) => word.startsWith('zone='))
    ?.slice(5)
    .split(':')[0]
  const rate = /^rate=(\d+)r\/([sm])$/.exec(settings.find((word) => word.startsWith('rate=')) ?? '')
  if (!zone || !rate) syntaxError(block, 'limit_req_zone needs a zone and a rate.')
  const isByAddress = key === '$binary_remote_addr' || key === '$remote_addr'
  limits.set(zone, isByAddress ? Number(rate[1]) * (rate[2] === 's' ? 300 : 5) : null)
  if (isByAddress) outcomes.carried(block, 'limit_req_zone', 'limit of the web filter, over five minutes')
  else outcomes.left(block, 'limit_req_zone', limitOther)
}

function leaveOrDrop(block: Block, keyword: string, outcomes: Outcomes): void {
  const about = (one: Block) =>
    keyword === 'events'
      ? outcomes.notNeeded(one, one.words[0] ?? '', 'the balancer of AWS runs itself')
      : outcomes.left(one, one.words[0] ?? '', unknownDirective)
  about(block)
  for (const inner of block.body ?? []) about(inner)
}

const unreadable: Left = {
  id: 'nginx-address',
  title: 'The address of a machine cannot be read.',
  remedy: 'Name the port and the number of machines at the service in estate.yaml.',
}
const weighted: Left = {
  id: 'nginx-weights',
  title: 'Machines of one service have the same weight.',
  remedy: 'Give the machines one size; for a trial of a new version make it a service of its own.',
}
const standby: Left = {
  id: 'nginx-standby',
  title: 'A target group has no machine that waits, or is switched off.',
  remedy: 'Nothing where a group over zones is enough; else a service of its own that people switch to.',
}
