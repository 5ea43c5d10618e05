import { type Db, MongoClient } from 'mongodb'
import { Findings } from '../findings.ts'
import { mergeJoin } from '../merge-join.ts'
import { type StoreVerdict, storeVerdict } from '../store-verdict.ts'
import {
  type NotificationDocument,
  notificationDigest,
  type ProfileDocument,
  profileDigest,
  scanOf,
} from './profile-documents.ts'
import { type AskedChange, ProfilesTable } from './profiles-table.ts'

/** What can be wrong with profiles and notifications, gravest first. */
export const profilesCorruptions = {
  lost: 'customers whose profile is gone, though they have not left',
  resurrected: 'customers who had left and are there again',
  stale: 'profiles in an older version than was acknowledged: changes lost, or applied in the wrong order',
  altered: 'profiles and notifications with another content than their version has',
  unasked: 'profiles, versions and notifications that nobody asked for',
  departuresMissing: 'customers who have left, of whom the store no longer knows it and would let them join again',
  expiresLate: 'notifications that are there after their deadline, or will be',
  goneEarly: 'notifications that are gone before their deadline: lost, or expired early',
  expiresEarly: 'notifications that will be gone before their deadline',
  indexesMissing: 'indexes that keep a rule (unique telephone numbers, the end of notifications) and are not there',
  repliesDiffer: 'changes that conflicted although nobody else made any',
} as const

export type ProfilesCorruption = keyof typeof profilesCorruptions
type ProfilesFindings = Findings<ProfilesCorruption>

export interface ProfilesJudgeOptions {
  readonly journals: readonly string[]
  readonly url: string
  readonly toleranceMs?: number
}

/** A server looks for what is over once a minute; under load it may be later. */
const sweepMs = 120_000

/** Holds MongoDB against the journals of all the load it has seen. Reads only. Call when nobody changes anything. */
export async function judgeProfiles(options: ProfilesJudgeOptions): Promise<StoreVerdict<ProfilesCorruption>> {
  const findings: ProfilesFindings = new Findings(profilesCorruptions)
  using table = new ProfilesTable()
  for (const path of options.journals) await table.add(path)
  await using client = new MongoClient(options.url, { serverSelectionTimeoutMS: 5000, useBigInt64: true })
  const database = client.db()
  const profiles = await checkProfiles(database, table, findings)
  const notifications = await checkNotifications(database, {
    table,
    findings,
    toleranceMs: options.toleranceMs ?? 1000,
  })
  await checkIndexes(database, findings)
  const { count, keys } = table.differing
  findings.add('repliesDiffer', count, keys)
  return storeVerdict('profiles', findings, { profiles, notifications })
}

/** As the driver gives it with 64-bit numbers as `bigint`. */
interface StoredProfile extends Omit<ProfileDocument, '_id'> {
  readonly _id: bigint
}

async function checkProfiles(database: Db, table: ProfilesTable, findings: ProfilesFindings): Promise<number> {
  const stored = database.collection('profiles').find().sort({ _id: 1 }).stream() as AsyncIterable<object>
  const departures = await departedAccounts(database)
  let profiles = 0
  const joined = mergeJoin<bigint, AskedChange, StoredProfile>(
    { rows: table.changes(), keyOf: ({ account }) => account },
    { rows: stored as AsyncIterable<StoredProfile>, keyOf: ({ _id }) => BigInt(_id) },
  )
  for await (const { key, left, right } of joined) {
    profiles += right.length
    const corruption = profileFault(left, right[0])
    if (corruption) findings.found(corruption, `profile:${key}`)
    const leaving = left.find(({ kind }) => kind === 'departure')
    if (leaving?.outcome === 'success' && !departures.has(key)) findings.found('departuresMissing', `profile:${key}`)
  }
  return profiles
}

/** What stands there must be the last acknowledged version, or one of unknown outcome after it. */
function profileFault(
  asked: readonly AskedChange[],
  profile: StoredProfile | undefined,
): ProfilesCorruption | undefined {
  const lastKnown = asked.findLast(({ outcome }) => outcome === 'success')
  const maybe = asked.filter(({ outcome, version }) => outcome === 'unknown' && isAfter(version, lastKnown?.version))
  const possible = lastKnown ? [lastKnown, ...maybe] : maybe
  if (profile === undefined) {
    const mayBeGone = lastKnown === undefined || possible.some(({ kind }) => kind === 'departure')
    return mayBeGone ? undefined : 'lost'
  }
  if (lastKnown?.kind === 'departure') return 'resurrected'
  const version = BigInt(profile.version)
  if (lastKnown && version < (lastKnown.version ?? 0n)) return 'stale'
  const made = possible.find((change) => change.version === version && change.kind === 'change')
  if (made === undefined) return 'unasked'
  const { name, contact, papers } = profile
  const same = profileDigest({ name, ...contact }, papers) === made.content
  return same && papers.every(({ number, scan }) => scanOf(number).equals(scan.buffer)) ? undefined : 'altered'
}

function isAfter(version: bigint | null, other: bigint | null | undefined): boolean {
  return (version ?? 0n) > (other ?? 0n)
}

/** As many as have left: sixteen bytes each. */
async function departedAccounts(database: Db): Promise<Set<bigint>> {
  const accounts = new Set<bigint>()
  for await (const { _id } of database.collection('departures').find({}, { projection: { _id: 1 } })) {
    accounts.add(BigInt(_id as unknown as bigint))
  }
  return accounts
}

interface NotificationCheck {
  readonly table: ProfilesTable
  readonly findings: ProfilesFindings
  readonly toleranceMs: number
}

async function checkNotifications(database: Db, check: NotificationCheck): Promise<number> {
  const { localTime } = (await database.command({ hello: 1 })) as unknown as { localTime: Date }
  const stored = database.collection<NotificationDocument>('notifications').find().sort({ _id: 1 }).stream()
  let notifications = 0
  const joined = mergeJoin<string, AskedChange, NotificationDocument>(
    { rows: check.table.notifications(), keyOf: ({ key }) => key },
    { rows: stored as AsyncIterable<NotificationDocument>, keyOf: ({ _id }) => _id },
  )
  for await (const { key, left, right } of joined) {
    notifications += right.length
    for (const corruption of notificationFaults(left[0], right[0], { now: localTime.getTime(), ...check })) {
      check.findings.found(corruption, `notification:${key}`)
    }
  }
  return notifications
}

function notificationFaults(
  asked: AskedChange | undefined,
  stored: NotificationDocument | undefined,
  { now, toleranceMs }: { now: number; toleranceMs: number },
): ProfilesCorruption[] {
  if (asked === undefined || (asked.outcome === 'refused' && stored)) return ['unasked']
  if (asked.outcome !== 'success' || asked.deadline === null) return []
  const deadline = Number(asked.deadline)
  if (!stored) return now > deadline - toleranceMs ? [] : ['goneEarly']
  const faults: ProfilesCorruption[] = []
  const expires = stored.expiresAt?.getTime() ?? Number.POSITIVE_INFINITY
  if (expires > deadline + toleranceMs || now > deadline + sweepMs + toleranceMs) faults.push('expiresLate')
  if (expires < deadline - toleranceMs) faults.push('expiresEarly')
  if (notificationDigest(Number(stored.account), stored.text) !== asked.content) faults.push('altered')
  return faults
}

async function checkIndexes(database: Db, findings: ProfilesFindings): Promise<void> {
  const profiles = await database.collection('profiles').listIndexes().toArray()
  const notifications = await database.collection('notifications').listIndexes().toArray()
  if (!profiles.some(({ key, unique }) => key['contact.phone'] && unique)) findings.found('indexesMissing', 'phone')
  const ends = notifications.some(({ key, expireAfterSeconds }) => key.expiresAt && Number(expireAfterSeconds) === 0)
  if (!ends) findings.found('indexesMissing', 'expiresAt')
}
