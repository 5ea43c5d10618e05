import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { errorsDoc } from './generate-errors-doc.ts'
import { openapiUrl, renderOpenapi } from './generate-openapi.ts'
import { pciDoc } from './generate-pci-doc.ts'
import { estateSchema } from './generate-schema.ts'

it.each([
  ['generate-errors-doc.ts', errorsDoc],
  ['generate-pci-doc.ts', pciDoc],
  ['generate-schema.ts', estateSchema],
])('what scripts/%s makes is what stands in the repository', (_, { url, render }) => {
  expect(readFileSync(url, 'utf8')).toBe(render())
})

it('what scripts/generate-openapi.ts makes is what stands in the repository', async () => {
  expect(readFileSync(openapiUrl, 'utf8')).toBe(await renderOpenapi())
})
