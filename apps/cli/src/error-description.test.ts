import { ReplatformError } from '@replatform/core/errors'
import { expect, it } from 'vitest'
import { CapturedStream } from './test-fixtures/captured-io.ts'
import { createLog } from './worker-log.ts'

it('a log shows what our errors say, and of a driver’s only its code and its place', () => {
  const output = new CapturedStream()
  const log = createLog(output)
  const driver = Object.assign(new Error('invalid input "4111111111111111"'), {
    code: '22P02',
    detail: '4111111111111111',
  })
  log.error({ err: driver }, 'It failed.')
  log.error({ err: new ReplatformError('internal', { message: 'It failed here.', cause: driver }) }, 'It failed again.')
  expect(output.text).not.toContain('4111111111111111')
  const [first, second] = output.text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
  expect(first.err).toMatchObject({
    code: '22P02',
    at: [expect.stringContaining('error-description.test.ts'), ...first.err.at.slice(1)],
  })
  expect(second.err).toMatchObject({ code: 'internal', message: 'It failed here.', cause: { code: '22P02' } })
})
