import { once } from 'node:events'
import { PassThrough } from 'node:stream'
import { expect, test } from 'vitest'
import { logOutput } from './mover-output.ts'

test("a mover's log lines keep their level and fields, everything else is a warning", async () => {
  const lines: unknown[] = []
  const at = (level: string) => (fields: object, message: string) => void lines.push([level, message, fields])
  const output = new PassThrough()
  logOutput(output, { move: 'ledger', pid: 7 }, { info: at('info'), warn: at('warn'), error: at('error') })
  output.write('{"level":30,"time":1,"hostname":"h","table":"t","msg":"loaded"}\n')
  output.write('{"level":50,"msg":"broke"}\nTypeError: x\n{"half\n')
  output.end()
  await once(output, 'close')
  const about = { move: 'ledger', pid: 7 }
  expect(lines).toEqual([
    ['info', 'loaded', { table: 't', ...about }],
    ['error', 'broke', about],
    ['warn', 'TypeError: x', about],
    ['warn', '{"half', about],
  ])
})
