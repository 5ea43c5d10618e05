import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Blueprint } from '../plan/blueprint.ts'
import { synthesize } from '../stacks/environment.ts'
import { TemplateGraph } from '../template/template-graph.ts'

/** The templates of a blueprint as one graph; nothing stays on the disk. */
export function graphOf(blueprint: Blueprint): TemplateGraph {
  const outdir = mkdtempSync(join(tmpdir(), 'landing-zone-'))
  try {
    return TemplateGraph.of(synthesize(blueprint, outdir))
  } finally {
    rmSync(outdir, { recursive: true })
  }
}
