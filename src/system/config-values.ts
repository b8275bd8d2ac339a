import { runtimeNames } from '../../schemas/author-manifest.ts'
import { fail } from '../core/errors.ts'
import { parseHostPort } from '../core/host-port.ts'
import { durationMs } from '../core/quantity.ts'
import type { HostPort, NetworkSettings } from '../core/settings.ts'
import { nearest } from '../core/text.ts'

const MAX_WAIT_MS = 24 * 3_600_000

/** Throws CONFIG_INVALID, naming `from`. */
export function parseBootstrap(text: string, from: string): NetworkSettings['bootstrap'] {
  if (text === 'public' || text === 'none') return text
  const near = nearest(text, ['public', 'none'])
  return list(text).map(
    part =>
      parseHostPort(part) ??
      fail('CONFIG_INVALID', `${from}: "${part}" is no host:port`, {
        hints: [
          near ? `did you mean "${near}"?` : 'write host:port,host:port or "none" or "public"',
        ],
      }),
  )
}

/** Throws CONFIG_INVALID, naming `from`. */
export function parsePeers(text: string, from: string): readonly HostPort[] {
  return list(text).map(
    part =>
      parseHostPort(part) ??
      fail('CONFIG_INVALID', `${from}: "${part}" is no host:port`, {
        hints: ['write the address that `repro share --listen` printed, like 192.0.2.7:4977'],
      }),
  )
}

/** Throws CONFIG_INVALID, naming `from`. */
export function parseListen(text: string, from: string): HostPort | null {
  if (text === 'none') return null
  return (
    parseHostPort(text, 0) ??
    fail('CONFIG_INVALID', `${from}: "${text}" is no host:port`, {
      hints: ['write the address to listen at, like 0.0.0.0:4977'],
    })
  )
}

/** Throws CONFIG_INVALID, naming `from`. */
export function parseWait(value: string | number, from: string): number {
  const ms = durationMs(typeof value === 'string' && /^\d+$/.test(value) ? Number(value) : value)
  if (ms !== null && ms > 0 && ms <= MAX_WAIT_MS) return ms
  return fail('CONFIG_INVALID', `${from}: "${value}" is no time to wait`, {
    hints: ['write 15s or 2min; at most one day'],
  })
}

/** Throws CONFIG_INVALID, naming `from`. */
export function parseRuntimes(text: string, from: string): readonly string[] {
  return list(text).map(name => {
    if (runtimeNames.some(known => known === name)) return name
    const near = nearest(name, runtimeNames)
    return fail('CONFIG_INVALID', `${from}: there is no runtime "${name}"`, {
      hints: [near ? `did you mean "${near}"?` : `the runtimes: ${runtimeNames.join(', ')}`],
    })
  })
}

function list(text: string): string[] {
  return text
    .split(',')
    .map(part => part.trim())
    .filter(part => part !== '')
}
