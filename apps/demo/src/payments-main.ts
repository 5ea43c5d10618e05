import { fileURLToPath } from 'node:url'

/** A main program of the payments platform. */
export function paymentsMain(name: string): string {
  return fileURLToPath(new URL(`../../../examples/payments/src/${name}.ts`, import.meta.url))
}
