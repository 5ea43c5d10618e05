import { mkdtempDisposableSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { exposureOf } from './secret-permissions.ts'
import { resolveSecret } from './secrets.ts'

describe('a secret reference', () => {
  it('is resolved from the environment', () => {
    expect(resolveSecret('env:LEDGER', { LEDGER: 'postgresql://u:p@h/db' })).toBe('postgresql://u:p@h/db')
  })

  it.each([
    ['pw\n', 'pw'],
    ['pw\r\n', 'pw'],
    ['pw\n\n', 'pw\n'],
    [' pw ', ' pw '],
  ])('is resolved from a file, without one line break at its end: %j', (content, secret) => {
    using folder = mkdtempDisposableSync(join(tmpdir(), 'secret-'))
    const path = join(folder.path, 'ledger')
    writeFileSync(path, content)
    expect(resolveSecret(`file:${path}`)).toBe(secret)
  })

  it.each([
    ['env:NOT_SET', /NOT_SET is not set/],
    ['env:EMPTY', /EMPTY is empty/],
    ['file:/does/not/exist', /\/does\/not\/exist does not exist/],
    ['file:/', /cannot be read \(EISDIR\)/],
  ])('%s that points to nothing is named', (reference, message) => {
    const resolve = () => resolveSecret(reference, { EMPTY: '' })
    expect(resolve).toThrow(
      expect.objectContaining({ code: 'secret.unresolved', message: expect.stringMatching(message) }),
    )
  })

  it('is not shown when it is no reference but could be the secret', () => {
    const resolve = () => resolveSecret('postgresql://u:hunter2@h/db', {})
    expect(resolve).toThrow(expect.objectContaining({ message: expect.not.stringContaining('hunter2') }))
  })

  it('in a file that others can read is a risk', () => {
    using folder = mkdtempDisposableSync(join(tmpdir(), 'secret-'))
    const closed = join(folder.path, 'closed')
    const open = join(folder.path, 'open')
    writeFileSync(closed, 'x', { mode: 0o600 })
    writeFileSync(open, 'x', { mode: 0o644 })
    expect(exposureOf(`file:${closed}`)).toBeUndefined()
    expect(exposureOf(`file:${open}`)).toContain('everybody on this machine')
    expect(exposureOf('env:X')).toBeUndefined()
  })
})
