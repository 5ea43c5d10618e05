import { type ChildProcess, spawn } from 'node:child_process'
import { chown, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { OsUser } from './os-user.ts'

/**
 * Outlives us on purpose: its standard input ends when we are gone, however we went. It then stops the process that
 * it was told of last and removes the folder. SIGQUIT first, since it takes PostgreSQL's children along.
 */
const watchdogScript = `
pid=0
while read -r line; do
  [ "$line" = released ] && exit
  pid=$line
done
if [ "$pid" -gt 0 ]; then
  kill -QUIT "$pid" 2>/dev/null
  for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
    kill -0 "$pid" 2>/dev/null || break
    sleep 0.1
  done
  kill -KILL "$pid" 2>/dev/null
fi
rm -rf "$1"
`

/** A folder that vanishes, with the process that runs in it, when it is disposed of or when we die. */
export class TempFolder implements AsyncDisposable {
  readonly path: string
  readonly #watchdog: ChildProcess

  constructor(path: string) {
    this.path = path
    this.#watchdog = spawn('/bin/sh', ['-c', watchdogScript, 'replatform-watchdog', path], {
      cwd: '/',
      stdio: ['pipe', 'ignore', 'ignore'],
      detached: true,
    })
    // A watchdog that was killed by hand must not take us along.
    this.#watchdog.stdin?.on('error', () => {})
  }

  /** From now on `pid` is what must not outlive us; `undefined` when nothing runs. */
  guard(pid: number | undefined): void {
    this.#watchdog.stdin?.write(`${pid ?? 0}\n`)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.path, { recursive: true, force: true, maxRetries: 5 })
    this.#watchdog.stdin?.end('released\n')
  }
}

export async function createTempFolder(prefix: string, owner?: OsUser): Promise<TempFolder> {
  const folder = new TempFolder(await mkdtemp(join(tmpdir(), `${prefix}-`)))
  if (owner) await chown(folder.path, owner.uid, owner.gid)
  return folder
}
