import { basename } from 'node:path'
import { ReplatformError } from '@replatform/core/errors'
import { isNode, LineCounter, parseDocument } from 'yaml'

/** Tells where something stands in the plan's file; a pointer is that of JSON (`/queues/3/carry`). */
export type PlaceInFile = (pointer: string) => string

/** For a plan that stands in no file. */
export const noFile: PlaceInFile = () => ''

/** Reads the file that a person edited. Throws `topology.invalid` with the line when it is no YAML. */
export function readPlanText(text: string, file: string): { readonly value: unknown; readonly placeOf: PlaceInFile } {
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines })
  const [problem] = document.errors
  if (problem) {
    const [line = ''] = problem.message.split('\n')
    throw new ReplatformError('topology.invalid', { message: `${file} is no YAML: ${line}` })
  }
  /** Of what is not there the line of what it belongs to. */
  const placeOf = (pointer: string) => {
    const path = pointer.split('/').slice(1)
    for (; ; path.pop()) {
      const node = document.getIn(path, true)
      const start = isNode(node) ? node.range?.[0] : undefined
      if (start !== undefined) return ` (line ${lines.linePos(start).line} of ${basename(file)})`
      if (path.length === 0) return ''
    }
  }
  return { value: document.toJS(), placeOf }
}
