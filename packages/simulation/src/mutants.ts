/** A deliberate mistake in the code that is simulated: one text of one file replaced by another. */
export interface Mutant {
  readonly name: string
  /** What is wrong then, in a few words. */
  readonly mistake: string
  /** End of the file's path. */
  readonly file: string
  readonly find: string
  readonly replace: string
}

const coordinator = 'engine/src/cutover.ts'
const decisions = 'control/src/file-decision-store.ts'
const guard = 'control/src/guard-host.ts'

/** Whatever of these the simulation cannot find, it would not find in our own code either. */
export const mutants: readonly Mutant[] = [
  {
    name: 'unfence-before-decide',
    mistake: 'the target is opened before the decision',
    file: coordinator,
    find: "this.#requireBudget('decide')",
    replace:
      "await this.#eachDo('unfence', (p) => p.flow.unfence('target', this.#turn)); this.#requireBudget('decide')",
  },
  {
    name: 'decide-without-compare',
    mistake: 'nothing is compared inside the pause',
    file: coordinator,
    find: "await this.#eachDo('compare-changed', (p) => requireEqual(p, 'fenced'))",
    replace: '',
  },
  {
    name: 'skip-fence',
    mistake: 'the source is not fenced',
    file: coordinator,
    find: "await this.#eachDo('fence', (p) => p.flow.fence('source', { ...this.#remainingMs(), ...this.#turn }))",
    replace: '',
  },
  {
    name: 'skip-hold',
    mistake: 'writes are not held',
    file: coordinator,
    find: "await this.#do('hold', () => this.#hold(budgetMs / 2))",
    replace: '',
  },
  {
    name: 'skip-raise-epoch',
    mistake: 'earlier followers may go on',
    file: coordinator,
    find: "await this.#eachDo('raise-epoch', (p) => p.flow.raiseEpoch())",
    replace: '',
  },
  {
    name: 'skip-settle',
    mistake: 'sequences stay behind',
    file: coordinator,
    find: "await this.#eachDo('settle', (p) => p.flow.settle())",
    replace: '',
  },
  {
    name: 'skip-mark-return',
    mistake: 'the way back begins before the pause',
    file: coordinator,
    find: "await this.#eachDo('mark-return', (p) => p.back.markStart())",
    replace: '',
  },
  {
    name: 'skip-record-decision',
    mistake: 'the target opens without the decision in it',
    file: coordinator,
    find: "await this.#eachDo('record-decision', (p) => p.flow.recordDecision(decision))",
    replace: '',
  },
  {
    name: 'release-before-point',
    mistake: 'held writes go to the fenced side',
    file: coordinator,
    find: "await this.#do('point',",
    replace: "await this.#do('release', () => this.#fromTheInside((r) => r.release())); await this.#do('point',",
  },
  {
    name: 'abort-without-record',
    mistake: 'the source is unfenced before anything is recorded',
    file: coordinator,
    find: "const decision = await this.#do('abort',",
    replace:
      "await this.#eachDo('unfence-source', (p) => p.flow.unfence('source', this.#turn)); const decision = await this.#do('abort',",
  },
  {
    name: 'abort-although-committed',
    mistake: 'an abort that came too late opens the source',
    file: coordinator,
    find: "if (decision.outcome === 'committed') return this.goForward(decision)",
    replace: '',
  },
  {
    name: 'commit-although-aborted',
    mistake: 'a decision that came too late opens the target',
    file: coordinator,
    find: "if (decision.outcome === 'aborted') {",
    replace: 'if (false) {',
  },
  {
    name: 'abort-keeps-fence',
    mistake: 'an abort lets writes through to a fenced source',
    file: coordinator,
    find: "await this.#eachDo('unfence-source', (p) => p.flow.unfence('source', this.#turn))",
    replace: '',
  },
  {
    name: 'recover-commits-undecided',
    mistake: 'a takeover commits what nobody had decided',
    file: coordinator,
    find: "if (standing?.outcome === 'committed') return run.goForward(standing)",
    replace: "if (standing?.outcome !== 'aborted') return run.commit()",
  },
  {
    name: 'recover-always-aborts',
    mistake: 'a takeover unfences the source without asking the record',
    file: coordinator,
    find: "if (standing?.outcome === 'committed') return run.goForward(standing)",
    replace: "await Promise.all(options.participants.map((p) => p.flow.unfence('source', options)))",
  },
  {
    name: 'woken-too-late',
    mistake: 'a coordinator that slept past its claim goes on with a cutover that another has ended',
    file: coordinator,
    find: 'if (await isOurs()) continue',
    replace: 'if ((await isOurs()) || true) continue',
  },
  {
    name: 'no-budget',
    mistake: 'the pause has no end',
    file: coordinator,
    find: 'this.#heldAt === null ? budgetMs : this.#heldAt + budgetMs - clock.now()',
    replace: '1e9',
  },
  {
    name: 'guard-sleeps',
    mistake: 'the guard looks on',
    file: guard,
    find: "if (event !== 'ended') await host.endCutover(event)",
    replace: '',
  },
  {
    name: 'decision-overwrites',
    mistake: 'the last decision stands, not the first',
    file: decisions,
    find: 'await this.#files.link(temporary, file)',
    replace: 'await this.#files.remove(file); await this.#files.link(temporary, file)',
  },
  {
    name: 'decision-not-flushed',
    mistake: 'a decision may be lost with the power',
    file: decisions,
    find: 'await this.#files.flushDirectory(this.#directory)',
    replace: '',
  },
  {
    name: 'intent-not-flushed',
    mistake: 'that a cutover began may be lost with the power',
    file: 'control/src/cutover-intents.ts',
    find: '      await this.#files.rename(temporary, this.#file(name))\n    }\n    await this.#files.flushDirectory(this.#directory)',
    replace: '      await this.#files.rename(temporary, this.#file(name))\n    }',
  },
  {
    name: 'claims-not-taken',
    mistake: 'two operations of a move run at once',
    file: 'control/src/operation-desk.ts',
    find: 'return { verb, move: null, wave: name, host, claims: host.moves }',
    replace: 'return { verb, move: null, wave: name, host, claims: [] }',
  },
  {
    name: 'asked-and-forgotten',
    mistake: 'what was recorded and not sent stays lying about',
    file: 'control/src/hosting.ts',
    find: 'for (const id of await unfinished(this.#services, name)) await this.#jobs.sendOperation(name, id)',
    replace: '',
  },
  {
    name: 'takeover-leaves-cutover',
    mistake: 'the next host does not end the cutover that it finds',
    file: 'control/src/hosted-wave.ts',
    find: 'await finishOperation(this.services, cutover.id, await this.recover(cutover))',
    replace: '',
  },
  {
    name: 'again-from-the-start',
    mistake: 'an operation that comes again does not ask whether its cutover stands',
    file: 'control/src/operation-performing.ts',
    find: 'if (earlier) return await wave.recover(earlier)',
    replace: '',
  },
  {
    name: 'begun-and-left',
    mistake: 'a cutover that began although the connection broke is left open',
    file: 'control/src/hosted-wave.ts',
    find: 'if (performed.error) await this.#endWhatBegan(id)',
    replace: '',
  },
  {
    name: 'intent-not-announced',
    mistake: 'only the embedded control database knows that a cutover began',
    file: 'control/src/cutover-beginning.ts',
    find: 'await services.intents.announce(cutover)',
    replace: '',
  },
  {
    name: 'end-not-recorded',
    mistake: 'a cutover ends and its record stays open',
    file: 'control/src/cutover-coordination.ts',
    find: 'if (cutover.outcome === null) await keepTrying(clock, () => services.cutovers.end(cutover, end))',
    replace: '',
  },
]
