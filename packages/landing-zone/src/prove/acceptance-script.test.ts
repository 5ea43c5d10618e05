import { execFileSync, spawnSync } from 'node:child_process'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { walletBlueprint } from '../test-fixtures/wallet-estate.ts'
import { acceptanceScript } from './acceptance-script.ts'
import { claimsOf } from './claims.ts'

/** Goal: the script stops in a foreign account and tells ok from failed. Method: run it with a program called aws that answers. */
const folder = mkdtempSync(join(tmpdir(), 'acceptance-'))
afterAll(() => rmSync(folder, { recursive: true }))
const script = join(folder, 'acceptance.sh')
const blueprint = walletBlueprint()
writeFileSync(script, acceptanceScript(blueprint))

function runWith(aws: string) {
  for (const [name, text] of Object.entries({
    aws,
    sleep: 'exit 0',
    openssl: 'echo "Verify return code: 0 (ok)"; exit 1',
    valkey: 'exit 1',
  })) {
    writeFileSync(join(folder, name), `#!/bin/sh\n${text}\n`)
    chmodSync(join(folder, name), 0o755)
  }
  return spawnSync('bash', [script], { encoding: 'utf8', env: { PATH: `${folder}:${process.env.PATH}` } })
}

test('is a script that bash can read', () => {
  execFileSync('bash', ['-n', script])
})

test('stops in an account that is not meant', () => {
  const { status, stdout } = runWith('echo 999999999999')
  expect({ status, stdout: stdout.trim() }).toEqual({
    status: 1,
    stdout: 'This is account 999999999999, not 111111111111.',
  })
})

test('fails where a stack does not stand, and disturbs nothing by itself', () => {
  const answers =
    'echo "$*" >> "$(dirname "$0")/calls"; case "$*" in *get-caller-identity*) echo 111111111111;; *describe-stacks*network*) echo ROLLBACK_COMPLETE;; *describe-stacks*) echo CREATE_COMPLETE;; *) echo IN_SYNC;; esac'
  const { status, stdout } = runWith(answers)
  expect(status).toBe(1)
  expect(stdout).toContain('ok    deployed.stores')
  expect(stdout).toContain('FAILED deployed.network: ROLLBACK_COMPLETE')
  const calls = execFileSync('cat', [join(folder, 'calls')], { encoding: 'utf8' })
  expect(calls).not.toMatch(/reboot-db-instance|start-experiment|set-alarm-state|replace-vpn-tunnel/)
})

test('every claim has a command and says what it expects', () => {
  const claims = claimsOf(blueprint)
  expect(new Set(claims.map(({ id }) => id)).size).toBe(claims.length)
  expect(claims.every(({ command, expects }) => command.length > 5 && expects.length > 0)).toBe(true)
  expect(claims.map(({ id }) => id)).toEqual(
    expect.arrayContaining([
      'vpn.tunnels-up',
      'store.ledger.failover',
      'resilience.zone-lost',
      'store.profiles.change-streams',
    ]),
  )
})
