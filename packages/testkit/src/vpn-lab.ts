/**
 * Two routers with two tunnels between them, each in network namespaces of its own: strongSwan with ESP in user space
 * (many kernels have none), FRR for the routes. A charon ends one tunnel in a namespace of its own; its TUN is moved
 * into the router's, so that routes decide. Needs root; touches nothing outside of its namespaces.
 */
import { spawn } from 'node:child_process'
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { debianFile, debianProgram } from './debian-package.ts'
import { pollUntil } from './poll-until.ts'
import { runProgram } from './run-program.ts'
import { createTempFolder, type TempFolder } from './temp-folder.ts'

export type LabSide = 'site' | 'aws'

export interface LabTunnel {
  /** `swanctl.conf` of each end, without keys. */
  readonly swanctl: Readonly<Record<LabSide, string>>
  /** Outside addresses, in one /30. */
  readonly outside: Readonly<Record<LabSide, string>>
  /** Inside addresses, in one /30. */
  readonly inside: Readonly<Record<LabSide, string>>
}

export interface VpnLabOptions {
  readonly tunnels: readonly [LabTunnel, LabTunnel]
  /** Configuration of FRR's bgpd and bfdd. */
  readonly frr: Readonly<Record<LabSide, string>>
  /** An address behind each router. */
  readonly host: Readonly<Record<LabSide, string>>
}

const sides: readonly LabSide[] = ['site', 'aws']
const key = 'rig-only-tunnel-key'

/** Why this machine cannot have one; undefined where it can. */
export async function vpnLabImpossible(): Promise<string | undefined> {
  if (process.getuid?.() !== 0) return 'network namespaces need root'
  try {
    await debianProgram('ip', 'iproute2')
    const name = `rp-probe-${process.pid}`
    await runProgram('ip', ['netns', 'add', name])
    await runProgram('ip', ['netns', 'del', name])
    return undefined
  } catch (error) {
    return `network namespaces are not allowed here: ${error instanceof Error ? error.message : error}`
  }
}

export async function installVpnLab(): Promise<void> {
  await debianFile('/usr/lib/ipsec/charon', 'strongswan-charon')
  await debianFile('/usr/sbin/swanctl', 'strongswan-swanctl')
  await debianFile('/usr/lib/ipsec/plugins/libstrongswan-kernel-libipsec.so', 'libcharon-extra-plugins')
  await debianFile('/usr/lib/frr/bgpd', 'frr')
  await debianProgram('ping', 'iputils-ping')
}

export class VpnLab implements AsyncDisposable {
  readonly #options: VpnLabOptions
  readonly #folder: TempFolder
  readonly #prefix = `rp${process.pid}`
  readonly #pids: number[] = []

  static async start(options: VpnLabOptions): Promise<VpnLab> {
    await installVpnLab()
    const lab = new VpnLab(options, await createTempFolder('vpn-lab'))
    try {
      await lab.#build()
      return lab
    } catch (error) {
      await lab[Symbol.asyncDispose]()
      throw error
    }
  }

  private constructor(options: VpnLabOptions, folder: TempFolder) {
    this.#options = options
    this.#folder = folder
  }

  /** Which tunnel the site's router would take to AWS now; undefined without a route. */
  async route(): Promise<1 | 2 | undefined> {
    const answer = await this.#in('site', 'ip', 'route', 'get', this.#options.host.aws).catch(() => '')
    const [, number] = /dev tun([12])/.exec(answer) ?? []
    return number === undefined ? undefined : (Number(number) as 1 | 2)
  }

  /** Whether a packet comes back from behind the other router. */
  async reaches(): Promise<boolean> {
    const { host } = this.#options
    return this.#in('site', 'ping', '-c', '1', '-W', '1', '-I', host.site, host.aws).then(
      () => true,
      () => false,
    )
  }

  /** The suites that both ends agreed on, as strongSwan shows them. */
  agreedOn(tunnel: 1 | 2): Promise<string> {
    return this.#swanctl('site', tunnel, '--list-sas')
  }

  /** The wire of one tunnel loses everything, silently. */
  async cut(tunnel: 1 | 2): Promise<void> {
    await this.#ip('-n', this.#end('aws', tunnel), 'link', 'set', `out${tunnel}`, 'down')
  }

  async mend(tunnel: 1 | 2): Promise<void> {
    await this.#ip('-n', this.#end('aws', tunnel), 'link', 'set', `out${tunnel}`, 'up')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const pid of this.#pids) terminate(pid)
    for (const side of sides) {
      for (const daemon of ['zebra', 'bfdd', 'bgpd']) {
        const text = await readFile(join(this.#folder.path, `frr-${side}`, `${daemon}.pid`), 'utf8').catch(() => '')
        if (Number(text) > 1) terminate(Number(text))
      }
    }
    for (const name of this.#namespaces()) await this.#ip('netns', 'del', name).catch(() => {})
    await this.#folder[Symbol.asyncDispose]()
  }

  async #build(): Promise<void> {
    for (const name of this.#namespaces()) {
      await this.#ip('netns', 'add', name)
      await this.#ip('-n', name, 'link', 'set', 'lo', 'up')
      const settings = ['net.ipv4.ip_forward=1', 'net.ipv4.conf.all.rp_filter=0', 'net.ipv4.conf.default.rp_filter=0']
      await runProgram('ip', ['netns', 'exec', name, 'sysctl', '-qw', ...settings])
    }
    for (const side of sides)
      await this.#ip('-n', this.#router(side), 'addr', 'add', `${this.#options.host[side]}/32`, 'dev', 'lo')
    for (const number of [1, 2] as const) await this.#connect(number)
    for (const number of [1, 2] as const) for (const side of sides) await this.#startCharon(side, number)
    for (const number of [1, 2] as const) for (const side of sides) await this.#placeTun(side, number)
    // The end that waits is ready before the end that starts.
    for (const side of ['aws', 'site'] as const)
      for (const number of [1, 2] as const) await this.#swanctl(side, number, '--load-all')
    for (const side of sides) await this.#startFrr(side)
  }

  /** A wire between the outside interfaces of one tunnel's ends. */
  async #connect(number: 1 | 2): Promise<void> {
    const wire = `out${number}`
    const { outside } = this.#tunnel(number)
    await this.#ip(
      'link',
      'add',
      wire,
      'netns',
      this.#end('site', number),
      'type',
      'veth',
      'peer',
      'name',
      wire,
      'netns',
      this.#end('aws', number),
    )
    for (const side of sides) {
      const name = this.#end(side, number)
      await this.#ip('-n', name, 'addr', 'add', `${outside[side]}/30`, 'dev', wire)
      await this.#ip('-n', name, 'link', 'set', wire, 'up')
    }
  }

  async #startCharon(side: LabSide, number: 1 | 2): Promise<void> {
    const folder = this.#charonFolder(side, number)
    const { swanctl, outside } = this.#tunnel(number)
    await mkdir(join(folder, 'swanctl'), { recursive: true })
    await writeFile(join(folder, 'strongswan.conf'), charonSettings(folder))
    const secrets = `secrets {\n  ike-1 {\n    id-1 = ${outside.site}\n    id-2 = ${outside.aws}\n    secret = "${key}-${number}"\n  }\n}\n`
    await writeFile(join(folder, 'swanctl', 'swanctl.conf'), swanctl[side] + secrets)
    // A private /run, or the process files of four charons would be one.
    const script = 'mount -t tmpfs none /run && exec /usr/lib/ipsec/charon'
    const child = spawn('ip', ['netns', 'exec', this.#end(side, number), 'sh', '-c', script], {
      env: { ...process.env, STRONGSWAN_CONF: join(folder, 'strongswan.conf') },
      stdio: 'ignore',
    })
    if (child.pid) this.#pids.push(child.pid)
    await pollUntil('charon answers', () => this.#swanctl(side, number, '--stats'))
  }

  /** Moves the interface that charon made to the router, and leaves another of its name: charon insists on one. */
  async #placeTun(side: LabSide, number: 1 | 2): Promise<void> {
    const end = this.#end(side, number)
    const listed = await this.#ip('-n', end, '-o', 'link', 'show', 'type', 'tun')
    const [, tun = ''] = /^\d+: ([^:@]+)/.exec(listed) ?? []
    const router = this.#router(side)
    const name = `tun${number}`
    await this.#ip('-n', end, 'link', 'set', tun, 'netns', router, 'name', name)
    await runProgram('ip', ['netns', 'exec', end, 'ip', 'tuntap', 'add', 'dev', tun, 'mode', 'tun'])
    await this.#ip('-n', end, 'link', 'set', tun, 'up')
    await this.#ip('-n', router, 'addr', 'add', `${this.#tunnel(number).inside[side]}/30`, 'dev', name)
    await this.#ip('-n', router, 'link', 'set', name, 'mtu', '1400', 'up')
  }

  async #startFrr(side: LabSide): Promise<void> {
    const folder = join(this.#folder.path, `frr-${side}`)
    await mkdir(folder)
    await writeFile(join(folder, 'zebra.conf'), '')
    const [bgp = '', bfd = ''] = splitFrr(this.#options.frr[side])
    await writeFile(join(folder, 'bgpd.conf'), bgp)
    await writeFile(join(folder, 'bfdd.conf'), bfd)
    await runProgram('chown', ['-R', 'frr:frr', folder])
    // The daemons give up root, and must reach their folder as another user.
    await chmod(this.#folder.path, 0o755)
    const common = (daemon: string) => [
      '-d',
      '-f',
      join(folder, `${daemon}.conf`),
      '-i',
      join(folder, `${daemon}.pid`),
      '-z',
      join(folder, 'zserv.api'),
      '--vty_socket',
      folder,
      '-A',
      '127.0.0.1',
      '-P',
      '0',
    ]
    const start = (daemon: string, ...more: string[]) =>
      this.#in(side, `/usr/lib/frr/${daemon}`, ...common(daemon), ...more)
    await start('zebra')
    await start('bfdd', '--bfdctl', join(folder, 'bfdd.sock'))
    await start('bgpd', '-l', '0.0.0.0')
  }

  #swanctl(side: LabSide, number: 1 | 2, command: string): Promise<string> {
    const folder = this.#charonFolder(side, number)
    const env = {
      ...process.env,
      SWANCTL_DIR: join(folder, 'swanctl'),
      STRONGSWAN_CONF: join(folder, 'strongswan.conf'),
    }
    return runProgram('swanctl', [command, '--uri', `unix://${join(folder, 'charon.vici')}`], { env })
  }

  #charonFolder(side: LabSide, number: 1 | 2): string {
    return join(this.#folder.path, `charon-${side}-${number}`)
  }

  #tunnel(number: 1 | 2): LabTunnel {
    return this.#options.tunnels[number - 1] as LabTunnel
  }

  #router(side: LabSide): string {
    return `${this.#prefix}-${side}`
  }

  #end(side: LabSide, number: 1 | 2): string {
    return `${this.#prefix}-${side}${number}`
  }

  #namespaces(): string[] {
    return sides.flatMap((side) => [this.#router(side), this.#end(side, 1), this.#end(side, 2)])
  }

  #in(side: LabSide, ...command: string[]): Promise<string> {
    return runProgram('ip', ['netns', 'exec', this.#router(side), ...command])
  }

  #ip(...args: string[]): Promise<string> {
    return runProgram('ip', args)
  }
}

/** Each daemon reads its own words: those from `bfd` on are bfdd's. */
function splitFrr(text: string): string[] {
  const at = text.search(/^bfd$/m)
  return at < 0 ? [text] : [text.slice(0, at), text.slice(at)]
}

function charonSettings(folder: string): string {
  return `charon {
  load = random nonce aes sha1 sha2 hmac kdf gcm openssl pem pkcs1 x509 pubkey kernel-libipsec kernel-netlink socket-default vici updown counters
  install_routes = no
  install_virtual_ip = no
  retransmit_tries = 2
  retransmit_timeout = 2.0
  plugins {
    kernel-libipsec {
      load = yes
      allow_peer_ts = yes
    }
    kernel-netlink {
      fwmark = !0x42
    }
    socket-default {
      fwmark = 0x42
    }
    vici {
      socket = unix://${join(folder, 'charon.vici')}
    }
  }
}
`
}

function terminate(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It has ended already.
  }
}
