/** What the rig can do to a server, whatever it speaks. */
export interface ServerControl extends AsyncDisposable {
  readonly host: string
  readonly port: number
  readonly pid: number
  readonly running: boolean
  /** Where its data, its configuration and its log lie. */
  readonly folder: string
  readonly logFile: string
  stop(): Promise<void>
  kill(): Promise<void>
  restart(): Promise<void>
}

/** A server of the rig, or one that somebody brought along. What it speaks is the part of its subclasses. */
export class RigServer implements AsyncDisposable {
  readonly control: ServerControl

  constructor(control: ServerControl) {
    this.control = control
  }

  get host(): string {
    return this.control.host
  }

  get port(): number {
    return this.control.port
  }

  get pid(): number {
    return this.control.pid
  }

  get running(): boolean {
    return this.control.running
  }

  get folder(): string {
    return this.control.folder
  }

  get logFile(): string {
    return this.control.logFile
  }

  /** Ends it in order. */
  async stop(): Promise<void> {
    await this.control.stop()
  }

  /** Ends it as if the machine had lost power, except that what was written to its files stays. */
  async kill(): Promise<void> {
    await this.control.kill()
  }

  /** Starts it again on the same port and data, after an orderly stop where it still runs. */
  async restart(): Promise<void> {
    await this.control.restart()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.control[Symbol.asyncDispose]()
  }
}
