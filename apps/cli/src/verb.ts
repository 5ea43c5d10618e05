/** What every verb of the command line states about itself, and how it is made a command. */
import type { Command } from 'commander'
import { type Exit, exitCodes } from './exit-codes.ts'
import type { Invocation } from './invocation.ts'
import { wrap } from './text-cells.ts'

export interface Verb {
  readonly name: string
  /** One line for the list of verbs. */
  readonly summary: string
  /** Whole sentences for the verb's own help. */
  readonly description: string
  readonly example: string
  readonly exits: readonly Exit[]
  /** Adds arguments and options. */
  readonly configure?: (command: Command) => void
  /** `argument` is what the verb declares as its own: mostly a move, or a wave. */
  run(invocation: Invocation, options: VerbOptions, argument: string | undefined): Promise<Exit>
}

/** The options of all verbs; each declares those that it takes. */
export interface VerbOptions {
  readonly dryRun?: boolean
  readonly reason?: string
  readonly until?: 'in-sync'
  readonly watch?: boolean
  readonly limit?: number
  readonly wave?: string
  readonly override?: boolean
  readonly atMost?: number
  readonly severity?: 'minor' | 'severe'
  readonly close?: number
  readonly format?: 'md' | 'html'
  readonly environment?: string
  readonly phase?: string
  readonly out?: string
  readonly against?: string
  readonly dataFlow?: boolean
  readonly prices?: string
  readonly haproxy?: readonly string[]
  readonly nginx?: readonly string[]
  readonly iptables?: readonly string[]
  readonly nftables?: readonly string[]
  readonly squid?: readonly string[]
  readonly listen?: string
  readonly tlsCert?: string
  readonly tlsKey?: string
  readonly configuration?: boolean
  readonly account?: string
  readonly rate?: number
  readonly sourceSessions?: number
  readonly replicaLag?: number
  readonly off?: boolean
}

export function moveArgument(command: Command): void {
  command.argument('[move]', 'name of the move; may be left out where the estate has just one')
}

export function changingOptions(command: Command): void {
  moveArgument(command)
  command.option('--dry-run', 'print the very steps that would be taken, and take none')
  command.option('--reason <text>', 'why, for the audit log')
}

/** As `changingOptions`, for what a wave does as a whole. */
export function waveOptions(command: Command): void {
  changingOptions(command)
  command.option('--wave <name>', 'all moves of this wave together, by one decision')
}

export function waveArgument(command: Command): void {
  command.argument('[wave]', 'name of the wave; may be left out where the estate declares just one')
}

/** What stands below the options in the verb's help. */
export function helpOf({ example, exits }: Verb, columns: number): string {
  const inOrder = exits.map((exit) => exitCodes[exit]).toSorted((a, b) => a.code - b.code)
  const codes = inOrder.flatMap(({ code, meaning }) =>
    wrap(meaning, columns - 7).map((line, index) => `  ${index === 0 ? String(code).padStart(3) : '   '}  ${line}`),
  )
  return ['', 'Example:', ...example.split('\n').map((line) => `  ${line}`), '', 'Exit codes:', ...codes].join('\n')
}
