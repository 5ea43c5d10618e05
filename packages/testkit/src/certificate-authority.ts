/** The rig's own certificate authority: what its servers show, and what its clients trust and nothing else. */
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { cached } from './cache.ts'
import { runProgram } from './run-program.ts'

/** All three in PEM. */
export interface ServerCertificate {
  readonly certificate: string
  readonly key: string
  /** Of the authority that signed it: what a client has to trust. */
  readonly authority: string
}

export interface CertificateOptions {
  /** Host names and addresses that it is good for; `localhost` and 127.0.0.1 unless said. */
  readonly names?: readonly string[]
  /** It ran out yesterday. */
  readonly expired?: boolean
}

const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes']

export class CertificateAuthority {
  /** Holds `authority.pem` and its key. */
  readonly folder: string
  /** Its own certificate in PEM. */
  readonly certificate: string

  private constructor(folder: string, certificate: string) {
    this.folder = folder
    this.certificate = certificate
  }

  static async open(folder: string): Promise<CertificateAuthority> {
    return new CertificateAuthority(folder, await readFile(join(folder, 'authority.pem'), 'utf8'))
  }

  /** The file that a client may be pointed to. */
  get file(): string {
    return join(this.folder, 'authority.pem')
  }

  async issue({
    names = ['localhost', '127.0.0.1'],
    expired = false,
  }: CertificateOptions = {}): Promise<ServerCertificate> {
    const folder = await mkdtemp(join(tmpdir(), 'certificate-'))
    try {
      const [key, request, certificate, extensions] = ['key', 'request', 'certificate', 'extensions'].map((name) =>
        join(folder, name),
      ) as [string, string, string, string]
      const alternatives = names.map((name) => `${/^[\d.]+$|:/.test(name) ? 'IP' : 'DNS'}:${name}`)
      await writeFile(extensions, `subjectAltName=${alternatives.join(',')}\nextendedKeyUsage=serverAuth,clientAuth\n`)
      await openssl(['req', '-new', ...curve, '-keyout', key, '-out', request, '-subj', '/CN=rig server'])
      const days = expired ? '-1' : '3650'
      const signer = ['-CA', this.file, '-CAkey', join(this.folder, 'authority.key'), '-CAcreateserial']
      const serial = ['-CAserial', join(folder, 'serial')]
      await openssl([
        'x509',
        '-req',
        '-in',
        request,
        ...signer,
        ...serial,
        '-days',
        days,
        '-extfile',
        extensions,
        '-out',
        certificate,
      ])
      return {
        certificate: await readFile(certificate, 'utf8'),
        key: await readFile(key, 'utf8'),
        authority: this.certificate,
      }
    } finally {
      await rm(folder, { recursive: true })
    }
  }
}

/** The authority of every server of the rig on this machine. */
export async function rigAuthority(): Promise<CertificateAuthority> {
  return CertificateAuthority.open(await cached('authority', createAuthority))
}

/** Makes another authority in a folder that does not exist yet: one that no client of the rig trusts. */
export async function createAuthority(folder: string): Promise<void> {
  await mkdir(folder, { mode: 0o755 })
  const files = ['-keyout', join(folder, 'authority.key'), '-out', join(folder, 'authority.pem')]
  await openssl(['req', '-x509', ...curve, ...files, '-days', '3650', '-subj', '/CN=Replatform rig'])
}

let issued: Promise<ServerCertificate> | undefined

/** What the option `tls` of a server stands for: `true` is a certificate of the rig's authority, made once a process. */
export async function serverCertificate(tls: boolean | ServerCertificate): Promise<ServerCertificate | undefined> {
  if (typeof tls === 'object') return tls
  if (!tls) return undefined
  issued ??= rigAuthority().then((authority) => authority.issue())
  return issued
}

/** Files of a certificate in a daemon's folder, as the daemon's configuration names them. */
export interface CertificateFiles {
  readonly authority: string
  readonly certificate: string
  readonly key: string
  /** Certificate and key in one. */
  readonly pair: string
}

export async function writeCertificate(
  daemon: { write(name: string, content: string): Promise<string> },
  { authority, certificate, key }: ServerCertificate,
): Promise<CertificateFiles> {
  return {
    authority: await daemon.write('authority.pem', authority),
    certificate: await daemon.write('server.pem', certificate),
    key: await daemon.write('server.key', key),
    pair: await daemon.write('server-pair.pem', certificate + key),
  }
}

async function openssl(args: readonly string[]): Promise<void> {
  await runProgram('openssl', args)
}
