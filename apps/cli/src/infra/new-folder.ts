/** Folders that are written whole or not at all. */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { ReplatformError } from '@replatform/core/errors'

export interface NewFile {
  /** With slashes, below the folder. */
  readonly name: string
  readonly text: string
}

/**
 * Writes the files to a folder that is new or empty. They are written beside it first and moved when all are there, so
 * that an interruption leaves no part of them. Throws `landing-zone.output-refused`; what stood there is not touched.
 */
export function writeNewFolder(folder: string, files: readonly NewFile[]): void {
  requireNewFolder(folder)
  let staging: string | undefined
  try {
    mkdirSync(dirname(folder), { recursive: true })
    staging = mkdtempSync(join(dirname(folder), '.replatform-'))
    for (const { name, text } of files) {
      mkdirSync(dirname(join(staging, name)), { recursive: true })
      writeFileSync(join(staging, name), text, { flag: 'wx' })
    }
    mkdirSync(folder, { recursive: true })
    // An empty folder is kept and filled: somebody may stand in it.
    for (const entry of readdirSync(staging)) renameSync(join(staging, entry), join(folder, entry))
  } catch (cause) {
    throw new ReplatformError('landing-zone.output-refused', { message: `${folder} cannot be written.`, cause })
  } finally {
    if (staging) rmSync(staging, { recursive: true, force: true })
  }
}

export function requireNewFolder(folder: string): void {
  if (existsSync(folder) && readdirSync(folder).length > 0) {
    throw new ReplatformError('landing-zone.output-refused', { message: `${folder} holds something already.` })
  }
}
