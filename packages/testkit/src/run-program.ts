import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import type { OsUser } from './os-user.ts'

/** Runs a program to its end and returns its standard output; its standard error is in the error of a failure. */
export async function runProgram(
  program: string,
  args: readonly string[],
  {
    cwd = '/',
    user,
    env,
  }: { readonly cwd?: string; readonly user?: OsUser | undefined; readonly env?: NodeJS.ProcessEnv } = {},
): Promise<string> {
  const child = spawn(program, args, { cwd, env: env ?? process.env, stdio: ['ignore', 'pipe', 'pipe'], ...user })
  const [output, problems, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')])
  if (code !== 0) throw new Error(`${program} ended with ${code}: ${problems.trim()}`)
  return output
}
