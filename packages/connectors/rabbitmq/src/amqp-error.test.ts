import { expect, test } from 'vitest'
import { AmqpClosed, isNoQueue, toAmqpError } from './amqp-error.ts'

const place = { host: 'h', port: 5672, side: 'source' } as const
const said = (text: string) => toAmqpError(new AmqpClosed(404, `NOT_FOUND - ${text}`), place)

test('a queue that is gone is no queue; one that does not answer yet is asked again and is never taken for empty', () => {
  const gone = said("no queue 'q' in vhost '/'")
  expect(isNoQueue(gone)).toBe(true)
  expect(gone.retry).toBe('operator')
  for (const text of [
    "home node 'rabbit@b' of durable queue 'q' in vhost '/' is down or inaccessible",
    "failed to perform operation on queue 'q' in vhost '/' due to timeout",
    "queue 'q' in vhost '/' process is stopped by supervisor",
  ]) {
    expect(isNoQueue(said(text))).toBe(false)
    expect(said(text).retry).toBe('retry')
  }
})

test('a virtual host that a booting node has not recovered is asked again; one without access is not', () => {
  const refused = (text: string) => toAmqpError(new AmqpClosed(530, `NOT_ALLOWED - ${text}`), place)
  expect(refused("access to vhost 'v' refused for user 'u': vhost 'v' is down").retry).toBe('retry')
  expect(refused("access to vhost 'v' refused for user 'u'").code).toBe('auth.missing-rights')
})
