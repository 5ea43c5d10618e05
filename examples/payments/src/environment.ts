/** Secrets come by the environment only: arguments can be read by everybody on the machine. */
export function requiredVariable(name: string): string {
  const value = process.env[name]
  if (value === undefined || value === '') throw new Error(`set ${name} in the environment`)
  return value
}

/** Reads an option of the command line as a whole number of at least `least`. */
export function wholeNumber(text: string, name: string, least = 0): number {
  const value = Number(text)
  if (!Number.isSafeInteger(value) || value < least)
    throw new Error(`${name} must be a whole number of at least ${least}`)
  return value
}

/** One line of JSON on standard output: what other programs read. Everything for people goes to standard error. */
export function printLine(value: object): void {
  process.stdout.write(`${JSON.stringify(value)}\n`)
}

/** Runs a program's main function; an error becomes one line on standard error and exit code 2. */
export async function runMain(main: () => Promise<number>): Promise<void> {
  try {
    process.exitCode = await main()
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
    process.exitCode = 2
  }
}
