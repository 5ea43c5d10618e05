import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/** A file of the repository that is made from the code; a test compares it with what the code would make now. */
export interface GeneratedFile {
  readonly url: URL
  readonly render: () => string
}

/** For the generators' own mains: writes the file and says so. */
export function writeGenerated({ url, render }: GeneratedFile): void {
  writeFileSync(url, render())
  process.stdout.write(`${fileURLToPath(url)}\n`)
}
