/** moto on loopback: enough of AWS's APIs for most calls, with the gaps that docs/20-rig.md lists. */
import { type ServerCertificate, serverCertificate, writeCertificate } from './certificate-authority.ts'
import { Daemon } from './daemon.ts'
import { externalAuthority, externalServer } from './external-server.ts'
import { requestJson } from './json-request.ts'
import { pythonEnvironment } from './python-environment.ts'
import { RigServer, type ServerControl } from './rig-server.ts'

export interface AwsEmulatorOptions {
  /** Clients must use TLS; `true` for a certificate of the rig's authority. */
  readonly tls?: boolean | ServerCertificate
}

/** `RIG_AWS_URL` names an emulator to be used instead. Never an account: tests create and delete what they like. */
export async function startAwsEmulator({ tls = false }: AwsEmulatorOptions = {}): Promise<AwsEmulator> {
  const external = externalServer('aws')
  if (external) {
    return new AwsEmulator(external, external.url.protocol === 'https:' ? externalAuthority() : undefined)
  }
  const certificate = await serverCertificate(tls)
  const daemon = await Daemon.create({
    name: 'aws-emulator',
    program: `${await installMoto()}/bin/python`,
    args: (port) => [
      ...['-m', 'moto.server', '-H', '127.0.0.1', '-p', String(port)],
      ...(certificate ? ['--ssl-cert', 'server.pem', '--ssl-key', 'server.key'] : []),
    ],
    ready: async () => emulator.isReady(),
  })
  const emulator = new AwsEmulator(daemon, certificate?.authority)
  try {
    if (certificate) await writeCertificate(daemon, certificate)
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
  /** The certificate, in PEM, that clients have to trust; `undefined` without TLS. */
  readonly authority: string | undefined

  constructor(control: ServerControl, authority?: string) {
    super(control)
    this.authority = authority
  }

  get url(): string {
    return `${this.authority ? 'https' : 'http'}://${this.host}:${this.port}`
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
    await requestJson(`${this.url}/moto-api/data.json`, { ca: this.authority })
  }

  async #post(action: string): Promise<void> {
    const { status } = await requestJson(`${this.url}/moto-api/${action}`, { method: 'POST', ca: this.authority })
    if (status !== 200) throw new Error(`The AWS emulator answered ${status} to ${action}`)
  }
}

/** Folder of the Python environment that holds it. */
export async function installMoto(): Promise<string> {
  return pythonEnvironment({ name: 'moto-5.2.5', requirements: ['moto[server,all]==5.2.5'] })
}
