/**
 * Pays at a steady rate and writes down what became of it.
 *
 *     node load-main.ts --url http://127.0.0.1:PORT --rate 200 --seconds 60 --accounts 1000 --journal load.journal --settle
 *
 * Without `--seconds` it pays until SIGTERM or SIGINT. Prints a progress line a second (`--progress-ms`) and a summary line
 * at the end.
 *
 *     LOAD_GATEWAY_URL=… node load-main.ts --rate 200 --seconds 60 --journals journals
 *
 * Without `--url` customers of every service come that has an address: LOAD_WALLET_URL, LOAD_SESSIONS_URL,
 * LOAD_MERCHANTS_URL, LOAD_PROFILES_URL and LOAD_SEARCH_URL, or LOAD_GATEWAY_URL for all of them. `--journals` names the folder of their
 * journals. They come in bursts, unless `--steady` is said.
 *
 * Exit code 1 when a repeated request got another answer.
 */
import { parseArgs } from 'node:util'
import { printLine, runMain, wholeNumber } from './environment.ts'
import { EstateLoad, type LoadedService } from './estate-load.ts'
import { JournalWriter } from './journal.ts'
import { LoadGenerator } from './load-generator.ts'
import { WalletClient } from './wallet-client.ts'

/** Three times as many customers as otherwise, for one second of every ten. */
const bursts = { everyMs: 10_000, lastMs: 1000, factor: 3 }

await runMain(async () => {
  const { values } = parseArgs({
    options: {
      'url': { type: 'string' },
      'rate': { type: 'string', default: '200' },
      'seconds': { type: 'string' },
      'until-signal': { type: 'boolean', default: false },
      'accounts': { type: 'string', default: '1000' },
      'seed': { type: 'string', default: '1' },
      'journal': { type: 'string' },
      'timeout-ms': { type: 'string', default: '5000' },
      'attempts': { type: 'string', default: '6' },
      'settle': { type: 'boolean', default: false },
      'settle-seconds': { type: 'string', default: '30' },
      'journals': { type: 'string', default: 'journals' },
      'answer-seconds': { type: 'string', default: '86400' },
      'find-within-ms': { type: 'string', default: '5000' },
      'steady': { type: 'boolean', default: false },
      'progress-ms': { type: 'string', default: '1000' },
    },
  })
  const common = {
    rate: wholeNumber(values.rate, '--rate', 1),
    seed: wholeNumber(values.seed, '--seed'),
    accounts: wholeNumber(values.accounts, '--accounts', 2),
    timeoutMs: wholeNumber(values['timeout-ms'], '--timeout-ms', 1),
    attempts: wholeNumber(values.attempts, '--attempts', 1),
  }
  const seconds =
    values['until-signal'] || values.seconds === undefined ? undefined : wholeNumber(values.seconds, '--seconds', 1)
  const settleMs = values.settle ? wholeNumber(values['settle-seconds'], '--settle-seconds') * 1000 : 0
  if (values.url === undefined && values.journal === undefined) {
    using load = new EstateLoad({
      ...common,
      urls: serviceAddresses(),
      directory: values.journals,
      answerLifeMs: wholeNumber(values['answer-seconds'], '--answer-seconds', 1) * 1000,
      findWithinMs: wholeNumber(values['find-within-ms'], '--find-within-ms', 1),
      bursts: values.steady ? undefined : bursts,
    })
    return await runEstate(load, seconds, settleMs)
  }
  if (values.url === undefined || values.journal === undefined) throw new Error('name --url and --journal')
  const journal = new JournalWriter(values.journal)
  using client = new WalletClient({ url: values.url, ...common })
  const generator = new LoadGenerator({ ...common, client, journal })
  const stop = stopSignal(seconds)
  const progressMs = wholeNumber(values['progress-ms'], '--progress-ms', 100)
  const ticker = setInterval(() => printLine(progress(generator, client)), progressMs)
  await generator.run(stop)
  if (values.settle) await generator.settle(settleMs)
  clearInterval(ticker)
  journal.close()
  printLine(summary(generator, client))
  return generator.statistics.differing === 0 ? 0 : 1
})

function serviceAddresses(): Partial<Record<LoadedService, string>> {
  const { env } = process
  const addresses = {
    wallet: env.LOAD_WALLET_URL ?? env.LOAD_GATEWAY_URL,
    sessions: env.LOAD_SESSIONS_URL ?? env.LOAD_GATEWAY_URL,
    merchants: env.LOAD_MERCHANTS_URL ?? env.LOAD_GATEWAY_URL,
    profiles: env.LOAD_PROFILES_URL ?? env.LOAD_GATEWAY_URL,
    search: env.LOAD_SEARCH_URL ?? env.LOAD_GATEWAY_URL,
  }
  return Object.fromEntries(Object.entries(addresses).filter(([, address]) => address))
}

async function runEstate(load: EstateLoad, seconds: number | undefined, settleMs: number): Promise<number> {
  const startedAt = performance.now()
  const elapsed = () => Math.round(performance.now() - startedAt) / 1000
  const ticker = setInterval(() => {
    printLine({ type: 'progress', seconds: Math.round(elapsed()), services: load.figures() })
  }, 1000)
  await load.run(stopSignal(seconds))
  await load.settle(settleMs)
  clearInterval(ticker)
  const { differing, notSent } = load
  printLine({ type: 'summary', seconds: elapsed(), differing, notSent, services: load.figures() })
  return load.differing === 0 ? 0 : 1
}

function stopSignal(seconds: number | undefined): AbortSignal {
  const stop = new AbortController()
  // Kept for the whole run: a second signal must not cut off the payments that are being waited for.
  for (const name of ['SIGTERM', 'SIGINT'] as const) process.on(name, () => stop.abort())
  if (seconds !== undefined) setTimeout(() => stop.abort(), seconds * 1000).unref()
  return stop.signal
}

/** Counts are sums since the start; latencies are those since the line before. */
function progress(generator: LoadGenerator, client: WalletClient): object {
  const { statistics } = generator
  const { p50, p99, max } = statistics.recent.percentilesMs()
  statistics.recent.reset()
  return {
    type: 'progress',
    seconds: Math.round(generator.nowMs() / 1000),
    ...counts(generator),
    inFlight: statistics.inFlight,
    retries: client.retries,
    p50Ms: p50,
    p99Ms: p99,
    maxMs: max,
    maxGapMs: statistics.longestGapMs(generator.nowMs()),
  }
}

function summary(generator: LoadGenerator, client: WalletClient): object {
  const { statistics } = generator
  return {
    type: 'summary',
    seconds: Math.round(generator.nowMs()) / 1000,
    ...counts(generator),
    retries: client.retries,
    differing: statistics.differing,
    notSent: generator.notSent,
    latencyMs: statistics.all.percentilesMs(),
    longestGapMs: statistics.longestGapMs(),
  }
}

function counts(generator: LoadGenerator): object {
  const { sent, counts } = generator.statistics
  return { requests: sent, acknowledged: counts.success, refused: counts.refused, unknown: counts.unknown }
}
