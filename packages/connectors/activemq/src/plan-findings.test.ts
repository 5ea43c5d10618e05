import { parseDefinitions } from '@replatform/connector-rabbitmq/definitions'
import { expect, test } from 'vitest'
import { planFindings } from './plan-findings.ts'

const plan = { queues: [], topology: { exchanges: [], users: [], leftOut: [] } }
const facts = {
  plan,
  definitions: parseDefinitions({ vhosts: [{ name: '/' }] }, '/'),
  isNative: false,
  there: [],
  isPrepared: false,
  connections: [],
}

test.each([
  ['5.18.6', 'amazon-mq', []],
  ['5.18.3', undefined, []],
  ['5.19.0', 'amazon-mq', ['note activemq.version-untried']],
  ['5.17.6', 'amazon-mq', ['risk activemq.version-ended', 'note activemq.version-untried']],
  // Nobody upgrades a broker of one's own.
  ['5.17.6', undefined, ['note activemq.version-untried']],
  ['6.1.2', 'amazon-mq', ['note activemq.version-untried']],
])('what is said of the version %s (%s)', (version, service, expected) => {
  const found = planFindings({ ...facts, version, service }).filter(({ id }) => id.startsWith('activemq.version'))
  expect(found.map(({ severity, id }) => `${severity} ${id}`)).toEqual(expected)
})
