import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['{packages,apps,examples,scripts,bench}/**/*.test.ts'],
    exclude: ['**/node_modules/**'],
    // Processes, because tests start servers, send signals and watch memory; two, because each brings servers along.
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // A shared machine may starve a server for a minute; a real fault fails twice. Nobody's own run hides anything.
    retry: process.env.CI ? 1 : 0,
    reporters: ['default', './scripts/count-reporter.ts'],
  },
})
