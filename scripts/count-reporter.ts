import { writeFileSync } from 'node:fs'
import type { SerializedError } from 'vitest'
import type { Reporter, TestModule } from 'vitest/node'

/** Closes a run with `N passed, N failed, N skipped`: in the file that `TEST_SUMMARY_FILE` names, or on the screen. */
export default class CountReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly SerializedError[]): void {
    const counts = { passed: 0, failed: unhandledErrors.length, skipped: 0 }
    for (const module of modules) count(module, counts)
    const line = `${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped\n`
    const file = process.env.TEST_SUMMARY_FILE
    if (file) writeFileSync(file, line)
    else process.stdout.write(line)
  }
}

function count(module: TestModule, counts: { passed: number; failed: number; skipped: number }): void {
  let failedTests = 0
  for (const test of module.children.allTests()) {
    const { state } = test.result()
    // A test that never ran because the run was interrupted has not passed.
    const outcome = state === 'pending' ? 'failed' : state
    counts[outcome]++
    if (outcome === 'failed') failedTests++
  }
  // A file that could not be loaded, or whose hooks failed, has no failed test to show for it.
  if (module.state() === 'failed' && failedTests === 0) counts.failed++
}
