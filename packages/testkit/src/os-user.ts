import { readFile } from 'node:fs/promises'

/** Whom a server runs as when it is not ourselves. */
export interface OsUser {
  readonly uid: number
  readonly gid: number
}

/** `nobody` when we are root, since PostgreSQL and PgBouncer refuse to run as root; otherwise ourselves. */
export async function unprivilegedUser(): Promise<OsUser | undefined> {
  if (process.getuid?.() !== 0) return undefined
  const entry = /^nobody:[^:]*:(\d+):(\d+):/m.exec(await readFile('/etc/passwd', 'utf8'))
  if (!entry) throw new Error('Servers cannot run as root, and this machine has no user "nobody"')
  return { uid: Number(entry[1]), gid: Number(entry[2]) }
}
