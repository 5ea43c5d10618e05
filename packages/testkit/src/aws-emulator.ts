/** moto on loopback: enough of AWS's APIs for most calls, with the gaps that docs/20-rig.md lists. */
import { Daemon } from './daemon.ts'
import { externalServer } from './external-server.ts'
import { pythonEnvironment } from './python-environment.ts'
import { RigServer } from './rig-server.ts'

/** `RIG_AWS_URL` names an emulator to be used instead. Never an account: tests create and delete what they like. */
export async function startAwsEmulator(): Promise<AwsEmulator> {
  const external = externalServer('aws')
  if (external) return new AwsEmulator(external)
  const environment = await installMoto()
  const daemon = await Daemon.create({
    name: 'aws-emulator',
    program: `${environment}/bin/python`,
    args: (port) => ['-m', 'moto.server', '-H', '127.0.0.1', '-p', String(port)],
    ready: async () => emulator.isReady(),
  })
  const emulator = new AwsEmulator(daemon)
  try {
    await daemon.start()
    return emulator
  } catch (error) {
    await emulator[Symbol.asyncDispose]()
    throw error
  }
}

export class AwsEmulator extends RigServer {
  readonly region = 'ap-southeast-1'
  /** Any are accepted: what matters is that none of a real account is used by mistake. */
  readonly credentials = { accessKeyId: 'rig', secretAccessKey: 'rig' }

  get url(): string {
    return `http://${this.host}:${this.port}`
  }

  /** What a client of AWS's SDK is made with. */
  get clientOptions() {
    return { endpoint: this.url, region: this.region, credentials: this.credentials }
  }

  /** Forgets everything that was created. */
  async reset(): Promise<void> {
    await this.#post('reset')
  }

  /** Throws while it does not answer. */
  async isReady(): Promise<void> {
    await fetch(`${this.url}/moto-api/data.json`)
  }

  async #post(action: string): Promise<void> {
    const response = await fetch(`${this.url}/moto-api/${action}`, { method: 'POST' })
    if (!response.ok) throw new Error(`The AWS emulator answered ${response.status} to ${action}`)
  }
}

/** Folder of the Python environment that holds it. */
export async function installMoto(): Promise<string> {
  return pythonEnvironment({ name: 'moto-5.2.5', requirements: ['moto[server,all]==5.2.5'] })
}
