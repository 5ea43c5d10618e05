import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'

/** Goal: a clone works on any machine. Method: no tracked file names a place that only the writer's machine knows. */
const files = execFileSync('git', ['ls-files', '-z'], { encoding: 'utf8' }).split('\0').filter(Boolean)
const texts = files.flatMap((file) => {
  const text = readIfThere(file)
  return text === undefined || text.includes('\0') ? [] : [{ file, text }]
})

const { packages: lock } = JSON.parse(readFileSync('package-lock.json', 'utf8')) as {
  packages: Record<string, { resolved?: string; optionalDependencies?: Record<string, string> }>
}

// Written in pieces, so that this file passes its own test.
const named = ['registry.npm' + 'js.org', 'registry.yarn' + 'pkg.com', 'pypi' + '.org', 'proxy.golang' + '.org']
const configured = process.env.npm_config_registry ? [new URL(process.env.npm_config_registry).host] : []

test('no file names a package registry', () => {
  expect(filesWith((text) => [...named, ...configured].some((host) => text.includes(host)))).toEqual([])
})

test('no file names a folder of the machine it was written on', () => {
  const folder = /(?<![\w.-])\/(?:work|root|home\/\w+)\//
  expect(filesWith((text) => folder.test(text))).toEqual([])
})

test('the lockfile names no address that a package would be fetched from', () => {
  const addresses = Object.values(lock).flatMap(({ resolved }) => resolved ?? [])
  expect(addresses.filter((address) => address.includes('://'))).toEqual([])
})

test('the lockfile lists the packages of every platform: npm ci refuses one that does not', () => {
  const missing = Object.entries(lock).flatMap(([path, { optionalDependencies = {} }]) =>
    Object.keys(optionalDependencies).filter((name) => !listed(path, name)),
  )
  expect(missing).toEqual([])
})

/** Looks a name up as Node does: in node_modules of the folder itself, then of each folder above. */
function listed(path: string, name: string): boolean {
  if ([path, 'node_modules', name].filter(Boolean).join('/') in lock) return true
  return path !== '' && listed(path.slice(0, Math.max(0, path.lastIndexOf('/'))), name)
}

function filesWith(matches: (text: string) => boolean): string[] {
  return texts.filter(({ text }) => matches(text)).map(({ file }) => file)
}

function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return undefined // Deleted but not committed yet, or a link to a folder.
  }
}
