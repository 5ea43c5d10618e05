/** The command line without its process: arguments in, exit code out. */
import { ReplatformError, toReplatformError } from '@replatform/core/errors'
import { Command, CommanderError } from 'commander'
import { renderError, renderStacks } from './error-view.ts'
import { type Exit, exitCodes, exitOf } from './exit-codes.ts'
import { type GlobalOptions, Invocation } from './invocation.ts'
import { colorsFor, type Io, widthOf } from './io.ts'
import { helpOf, type Verb, type VerbOptions } from './verb.ts'
import { verbs } from './verbs.ts'
import { version } from './version.ts'

/** Runs one command to its end. Throws nothing: every failure is shown and becomes an exit code. */
export async function runCli(args: readonly string[], io: Io): Promise<number> {
  let exit: Exit = 'ok'
  const program = createProgram(io, async (verb, invocation, options, move) => {
    exit = await verb.run(invocation, options, move)
  })
  try {
    await program.parseAsync(args, { from: 'user' })
  } catch (thrown) {
    if (isHelp(thrown)) return exitCodes.ok.code
    const error = thrown instanceof CommanderError ? usageError(thrown) : toReplatformError(thrown)
    if (isBare(thrown)) io.err.write(`${program.helpInformation()}\n`)
    showError(error, args, io)
    exit = exitOf(error.code)
  }
  return exitCodes[exit].code
}

type Run = (verb: Verb, invocation: Invocation, options: VerbOptions, move: string | undefined) => Promise<void>

function createProgram(io: Io, run: Run): Command {
  const program = new Command('replatform')
    .description('Moves an estate of stores to the cloud live: copies, follows, compares, cuts over, and goes back.')
    .version(version)
    .option('--estate <file>', 'the estate file', 'estate.yaml')
    .option('--state <directory>', 'where the control state is kept (default: .replatform beside the estate file)')
    .option('--json', 'print exactly one JSON document on standard output; progress goes to standard error')
    .option('--no-color', 'no colours; NO_COLOR does the same')
    .option('--verbose', 'show where in the program an error comes from')
    .helpCommand(false)
    .showSuggestionAfterError()
    .exitOverride()
    .configureHelp({ showGlobalOptions: true, helpWidth: widthOf(io.out), subcommandTerm: (verb) => verb.name() })
    // Errors of the command line are laid out like all others, so nothing is written here.
    .configureOutput({ writeOut: (text) => io.out.write(text), writeErr: () => {} })
    .addHelpText('after', '\nEvery verb has --help with an example and its exit codes.')
  for (const verb of verbs) addVerb(program, verb, io, run)
  return program
}

function addVerb(program: Command, verb: Verb, io: Io, run: Run): void {
  const command = program.command(verb.name).summary(verb.summary).description(verb.description)
  verb.configure?.(command)
  command.addHelpText('after', helpOf(verb, widthOf(io.out))).allowExcessArguments(false)
  command.action(async () => {
    const invocation = new Invocation(io, program.opts<GlobalOptions>())
    await run(verb, invocation, command.opts<VerbOptions>(), command.args[0])
  })
}

function isHelp(thrown: unknown): boolean {
  return thrown instanceof CommanderError && thrown.exitCode === 0
}

/** Called without any verb. */
function isBare(thrown: unknown): boolean {
  return thrown instanceof CommanderError && thrown.code === 'commander.help'
}

function usageError(thrown: CommanderError): ReplatformError {
  const text = isBare(thrown) ? 'A verb is missing.' : sentence(thrown.message.replace(/^error: /, ''))
  return new ReplatformError('usage', { message: text, next: 'See `replatform --help`, or --help of the verb.' })
}

function sentence(text: string): string {
  const upper = text.charAt(0).toUpperCase() + text.slice(1).replaceAll('\n', '. ')
  return /[.?)]$/.test(upper) ? upper : `${upper}.`
}

/** The options may not have been read when something failed, so the arguments are looked at as they are. */
function showError(error: ReplatformError, args: readonly string[], io: Io): void {
  const style = { colors: colorsFor(io.err, io.env, !args.includes('--no-color')), columns: widthOf(io.err) }
  io.err.write(`${renderError(error, style).join('\n')}\n`)
  if (args.includes('--verbose')) io.err.write(`\n${renderStacks(error)}\n`)
  if (args.includes('--json')) io.out.write(`${JSON.stringify({ error: error.toJSON() })}\n`)
}
