import type { TunnelEnd } from './tunnels.ts'

export interface SwanctlOptions {
  /** Who starts: the old site does, AWS waits and may start too. */
  readonly starts: boolean
  /** Seconds without an answer until the peer counts as lost; it then starts anew. */
  readonly deadAfterSeconds: number
  /** Route-based by XFRM interfaces; false where the kernel has none (UDP encapsulation in user space). */
  readonly interfaceIds: boolean
}

const standing: SwanctlOptions = { starts: true, deadAfterSeconds: 10, interfaceIds: true }

/**
 * strongSwan's side of a tunnel, with the one suite that AWS is told to accept: AES-256-GCM, SHA-384, group 20. The key
 * is no part of it: `swanctl/private-keys.conf` is written by whoever fetches it from AWS.
 */
export function renderSwanctl(tunnel: TunnelEnd, options: Partial<SwanctlOptions> = {}): string {
  const { starts, deadAfterSeconds, interfaceIds } = { ...standing, ...options }
  const id = interfaceIds ? [`if_id_in = ${tunnel.preference}`, `if_id_out = ${tunnel.preference}`] : []
  return [
    `# ${tunnel.name}: ${tunnel.insideSite} here, ${tunnel.insideAws} at AWS`,
    'connections {',
    `  ${tunnel.name} {`,
    '    version = 2',
    `    local_addrs = ${tunnel.siteAddress}`,
    `    remote_addrs = ${tunnel.awsAddress}`,
    '    proposals = aes256gcm16-prfsha384-ecp384',
    `    dpd_delay = ${deadAfterSeconds}s`,
    '    encap = yes',
    '    rekey_time = 8h',
    ...id.map((line) => `    ${line}`),
    ...authentication('local', tunnel.siteAddress),
    ...authentication('remote', tunnel.awsAddress),
    '    children {',
    '      traffic {',
    '        local_ts = 0.0.0.0/0',
    '        remote_ts = 0.0.0.0/0',
    '        esp_proposals = aes256gcm16-ecp384',
    '        rekey_time = 1h',
    '        dpd_action = restart',
    `        start_action = ${starts ? 'start' : 'none'}`,
    '      }',
    '    }',
    '  }',
    '}',
    '',
  ].join('\n')
}

function authentication(side: 'local' | 'remote', id: string): string[] {
  return [`    ${side} {`, '      auth = psk', `      id = ${id}`, '    }']
}

/** The other end of the same tunnel, for a stand-in of AWS. */
export function mirrored(tunnel: TunnelEnd): TunnelEnd {
  const { siteAddress, awsAddress, insideSite, insideAws } = tunnel
  return { ...tunnel, siteAddress: awsAddress, awsAddress: siteAddress, insideSite: insideAws, insideAws: insideSite }
}
