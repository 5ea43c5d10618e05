/** What became of each statement of an old configuration: nothing is left out without a word. */
import type { Finding, Severity } from '@replatform/core/finding'
import { findingOn } from '../plan/finding-on.ts'
import { at, type Place } from './config-text.ts'

export interface Outcome extends Place {
  /** The keyword only: arguments may be secrets. */
  readonly keyword: string
  readonly became: 'carried' | 'not needed' | 'left'
  /** What it is now, what does it instead, or why it cannot be. */
  readonly as: string
}

export interface Left {
  /** Findings of one id are one: `haproxy-lua`. */
  readonly id: string
  readonly severity?: Severity
  readonly title: string
  readonly remedy: string
}

/** A title and remedy per id, and the places of each as its evidence. */
export class Outcomes {
  readonly all: Outcome[] = []
  readonly #left = new Map<string, { readonly about: Left; readonly places: string[] }>()

  carried(place: Place, keyword: string, as: string): Outcome {
    return this.#add({ ...place, keyword, became: 'carried', as })
  }

  /** AWS does it by itself, or it was about the old machine. */
  notNeeded(place: Place, keyword: string, as: string): Outcome {
    return this.#add({ ...place, keyword, became: 'not needed', as })
  }

  left(place: Place, keyword: string, about: Left): Outcome {
    const known = this.#left.get(about.id) ?? { about, places: [] }
    known.places.push(`${at(place)} ${keyword}`)
    this.#left.set(about.id, known)
    return this.#add({ ...place, keyword, became: 'left', as: about.title })
  }

  /** With a screenful of places each; `all` has every one. */
  findings(): Finding[] {
    return [...this.#left.values()].flatMap(({ about: { id, severity = 'risk', title, remedy }, places }) =>
      findingOn([...new Set(places)], { id: `translate.${id}`, severity, title, remedy }),
    )
  }

  #add({ file, line, keyword, became, as }: Outcome): Outcome {
    const outcome = { file, line, keyword, became, as }
    this.all.push(outcome)
    return outcome
  }
}
