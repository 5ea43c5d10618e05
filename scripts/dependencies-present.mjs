// Ends with 0 when node_modules holds what package-lock.json asks for. Plain JavaScript without imports from npm,
// since it runs under the machine's own Node before anything is installed.
import { existsSync, readFileSync } from 'node:fs'

const root = new URL('../', import.meta.url)

function packages(path) {
  return JSON.parse(readFileSync(new URL(path, root), 'utf8')).packages
}

function present() {
  if (!existsSync(new URL('node_modules/.bin/node', root))) return false
  // npm writes this one last: an interrupted installation has none.
  if (!existsSync(new URL('node_modules/.package-lock.json', root))) return false
  const installed = packages('node_modules/.package-lock.json')
  return Object.entries(packages('package-lock.json')).every(
    ([path, { version, link, optional, peer }]) =>
      path === '' || optional || peer || (link ? installed[path]?.link : installed[path]?.version === version),
  )
}

process.exitCode = present() ? 0 : 1
