/**
 * Goal: what happens is told, signed, again when it was not taken, and nobody waits for it. Method: the real queue on an
 * embedded database, a real HTTP server that fails first, and a real SMTP server.
 */
import { createHmac } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import type { Estate, NotifyEntry } from '@replatform/core/estate'
import { SMTPServer } from 'smtp-server'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type ControlDatabase, openEmbeddedDatabase } from './control-database.ts'
import { Jobs } from './jobs.ts'
import type { MoveRecord } from './move-records.ts'
import { deliver } from './notification-delivery.ts'
import { Notifier, newsOfEntry, newsOfMove, targetKey } from './notifications.ts'

const silent = { info: () => {}, warn: () => {}, error: () => {} }
const requests: { path: string; headers: IncomingHttpHeaders; body: string }[] = []
const mails: string[] = []
const http = createServer(async (request, response) => {
  const body = await text(request)
  const isFirst = !requests.some(({ path }) => path === request.url)
  requests.push({ path: request.url ?? '', headers: request.headers, body })
  response.writeHead(request.url === '/hook' && isFirst ? 503 : 200).end()
})
const smtp = new SMTPServer({
  disabledCommands: ['STARTTLS'],
  onAuth: ({ username, password }, _session, done) =>
    username === 'u@x' && password === 'p/w' ? done(null, { user: username }) : done(new Error('who?')),
  onData: (stream, _session, done) => void text(stream).then((mail) => done(null, void mails.push(mail) as never)),
})

let folder: string
let database: ControlDatabase
let jobs: Jobs
const secrets: Record<string, string> = { 'env:SECRET': 'signing-secret' }
const resolve = (reference: string) => secrets[reference] ?? ''
const targets: NotifyEntry[] = [
  { kind: 'webhook', url: 'env:HOOK', secret: 'env:SECRET', events: ['cutover', 'gate'] },
  { kind: 'slack', url: 'env:SLACK' },
  { kind: 'email', url: 'env:SMTP', to: ['ops@example.org', 'linh@example.org'], from: 'replatform@example.org' },
]
const estate = { estate: 'wallet', stores: {}, notify: targets } as unknown as Estate

beforeAll(async () => {
  await once(http.listen(0, '127.0.0.1'), 'listening')
  await new Promise<void>((listening) => void smtp.listen(0, '127.0.0.1', listening))
  const { port } = http.address() as AddressInfo
  const mailPort = (smtp.server.address() as AddressInfo).port
  secrets['env:HOOK'] = `http://127.0.0.1:${port}/hook`
  secrets['env:SLACK'] = `http://127.0.0.1:${port}/slack`
  secrets['env:SMTP'] = `smtp://u%40x:p%2Fw@127.0.0.1:${mailPort}`
  folder = await mkdtemp(join(tmpdir(), 'notifications-'))
  database = await openEmbeddedDatabase(join(folder, 'control'))
  jobs = await Jobs.start(database, 'wallet', silent)
})
afterAll(async () => {
  await jobs?.stop()
  await database?.[Symbol.asyncDispose]()
  http.close()
  await new Promise<void>((closed) => smtp.close(closed))
  if (folder) await rm(folder, { recursive: true })
})

test('an aborted cutover is told to all, signed, and again to who did not take it', { timeout: 240_000 }, async () => {
  const failures: string[] = []
  const at = '2026-01-01T00:00:00.000Z'
  const entry = {
    at,
    actor: 'linh@ops',
    verb: 'cutover',
    move: 'wave night',
    outcome: 'failed',
    detail: 'cutover.aborted: x',
  }
  const news = newsOfEntry(entry as never)
  expect(news?.event).toBe('cutover')
  const notifier = new Notifier({ estate, send: (d) => jobs.sendNotification(d), newId: () => 'n-1', log: silent })
  if (news) notifier.tell(news)
  await jobs.workNotifications(({ target, notification }) => {
    const found = targets.find((entry) => targetKey(entry) === target) as NotifyEntry
    return deliver(found, notification, resolve).catch((thrown) => {
      failures.push(thrown.message)
      throw thrown
    })
  })

  const hooks = () => requests.filter(({ path }) => path === '/hook')
  await expect.poll(hooks, { timeout: 70_000, interval: 100 }).toHaveLength(2)
  await expect.poll(() => mails, { timeout: 70_000, interval: 100 }).toHaveLength(1)
  await expect.poll(() => requests.some(({ path }) => path === '/slack'), { timeout: 70_000, interval: 100 }).toBe(true)

  expect(failures).toEqual(['The webhook env:HOOK answered with status 503.'])
  for (const { headers, body } of hooks()) {
    const signed = `${headers['x-replatform-timestamp']}.${body}`
    const expected = createHmac('sha256', 'signing-secret').update(signed).digest('hex')
    expect(headers['x-replatform-signature']).toBe(`sha256=${expected}`)
    expect(headers['x-replatform-delivery']).toBe('n-1')
    expect(JSON.parse(body)).toMatchObject({ event: 'cutover', estate: 'wallet', subject: 'wave night', at })
  }
  const slack = requests.find(({ path }) => path === '/slack')
  expect(JSON.parse(slack?.body ?? '').text).toContain('cutover of wave night: failed (linh@ops)')
  expect(mails[0]).toMatch(/^Subject: \[wallet\] cutover of wave night: failed/m)
  expect(mails[0]).toMatch(/^To: ops@example.org, linh@example.org/m)
})

test('what does not answer is told without its address', async () => {
  const notification = { id: '1', event: 'state', at: '', estate: 'e', subject: 'a', title: 't', detail: '' } as const
  const [hook, , mail] = targets as [NotifyEntry, NotifyEntry, NotifyEntry]
  const nowhere = (reference: string) =>
    reference === 'env:SMTP' ? 'smtp://u:hunter2@127.0.0.1:1' : 'http://127.0.0.1:1/hunter2'
  for (const target of [hook, mail]) {
    await expect(deliver(target, notification, nowhere)).rejects.toThrow(/env:(HOOK|SMTP)/)
    await expect(deliver(target, notification, nowhere)).rejects.not.toThrow(/hunter2/)
  }
})

test('a queue that cannot be reached stops nobody', async () => {
  const warnings: string[] = []
  const log = { ...silent, warn: (_: object, message: string) => void warnings.push(message) }
  const send = async () => Promise.reject(new Error('down'))
  const news = { event: 'gate', at: '', subject: null, title: 't', detail: '' } as const
  new Notifier({ estate, send, newId: () => 'n-2', log }).tell(news)
  await expect.poll(() => warnings).toHaveLength(3)
})

test('a change of state and a pause are news, a mere look is none', () => {
  const move = { name: 'a', state: 'in-sync', paused: null } as unknown as MoveRecord
  expect(newsOfMove(move, move, '')).toBeNull()
  expect(newsOfMove(move, { ...move, state: 'cutting-over' }, '')?.title).toBe('a is cutting-over')
  const paused = { reason: 'The disk is full.', error: null }
  expect(newsOfMove(move, { ...move, paused }, '')).toMatchObject({ title: 'a is paused', detail: paused.reason })
  const entry = { at: '', actor: 'x', move: null, outcome: 'done', detail: '' }
  const eventOf = (verb: string, detail = '') => newsOfEntry({ ...entry, verb, detail } as never)?.event
  expect(['approve', 'override', 'incident', 'rollback', 'assess'].map((verb) => eventOf(verb))).toEqual([
    ...['gate', 'gate', 'incident', 'cutover', undefined],
  ])
  expect(eventOf('cutover', 'gate.closed: lag')).toBe('gate')
})
