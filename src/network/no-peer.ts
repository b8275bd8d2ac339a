import { ReproError } from '../core/errors.ts'
import { formatHostPort } from '../core/host-port.ts'
import type { HostPort, NetworkSettings } from '../core/settings.ts'
import { count, formatBytes, formatDuration } from '../core/text.ts'

/** What was done to find peers. */
export interface Tried {
  readonly bootstrap: NetworkSettings['bootstrap']
  /** DHT nodes that answered; null without a DHT. */
  readonly dhtNodes: number | null
  /** Direct peers, each with the reason it could not be reached; null when it was. */
  readonly peers: readonly { readonly address: HostPort; readonly error: string | null }[]
  /** Connections that are open now. */
  readonly connected: number
  /** Bytes that came from peers since the home was opened; none when absent. */
  readonly received?: number
  /** How long nothing came. */
  readonly waitedMs: number
  /** What is here of the files that were asked for. */
  readonly held?: Held
}

export interface Held {
  readonly files: number
  readonly of: number
}

/** NO_PEER for the bundle `key`: says what was tried, and what to type. */
export function noPeerError(key: string, tried: Tried, cause?: unknown): ReproError {
  const nothing = tried.dhtNodes === null && tried.peers.length === 0
  const head = nothing
    ? `there is no way to look for peers of ${key}`
    : tried.connected > 0
      ? `no peer sent what is needed of ${key} within ${formatDuration(tried.waitedMs)}`
      : tried.received
        ? `the peer of ${key} went away after ${formatBytes(tried.received)}, and none came for ${formatDuration(tried.waitedMs)}`
        : `no peer of ${key} was found within ${formatDuration(tried.waitedMs)}`
  const direct = tried.peers.map(
    ({ address, error }) =>
      `direct peer ${formatHostPort(address)}: ${error ?? (tried.connected > 0 ? 'connected' : 'no answer')}`,
  )
  return new ReproError(
    'NO_PEER',
    [head, ...heldWords(tried), dhtWords(tried), ...direct].join('; '),
    {
      hints: hints(key, tried),
      data: {
        key,
        tried: {
          bootstrap:
            typeof tried.bootstrap === 'string'
              ? tried.bootstrap
              : tried.bootstrap.map(formatHostPort),
          dhtNodes: tried.dhtNodes,
          peers: tried.peers.map(({ address, error }) => ({
            address: formatHostPort(address),
            error,
          })),
          connected: tried.connected,
          received: tried.received ?? 0,
          ...(tried.held ? { held: { ...tried.held } } : {}),
          waitedMs: Math.round(tried.waitedMs),
        },
      },
      ...(cause === undefined ? {} : { cause }),
    },
  )
}

/** What is here, and why those who are connected do not give the rest. */
function heldWords({ held, connected }: Tried): string[] {
  if (!held) return []
  const here = `${held.files} of ${count('file', held.of)} ${held.of === 1 ? 'is' : 'are'} here`
  return connected === 0
    ? [here]
    : [here, `${count('connected peer', connected)}, holding a part only or not answering`]
}

function dhtWords({ bootstrap, dhtNodes, connected }: Tried): string {
  if (bootstrap === 'none' || dhtNodes === null) return 'the DHT is switched off'
  const which =
    bootstrap === 'public'
      ? 'the public bootstrap nodes'
      : `${bootstrap.length === 1 ? 'the bootstrap node' : 'the bootstrap nodes'} ${bootstrap.map(formatHostPort).join(', ')}`
  if (dhtNodes === 0) return `asked ${which}: no DHT node answered`
  const found = connected > 0 ? '' : ', and nobody they know serves it'
  return `asked ${which}: ${count('DHT node', dhtNodes)} answered${found}`
}

function hints(key: string, { bootstrap, dhtNodes, peers, held }: Tried): string[] {
  const silent = dhtNodes === 0
  return [
    ...(held ? ['repeat the command: what was fetched is kept, and it carries on'] : []),
    `at the author's: repro share ${key}`,
    ...(bootstrap === 'none'
      ? ['to use the DHT: --bootstrap public, or --bootstrap host:port of your lab']
      : []),
    ...(silent && bootstrap !== 'public'
      ? ['check the address of the bootstrap node: --bootstrap host:port']
      : []),
    ...(silent && bootstrap === 'public'
      ? ['this network may block UDP: go directly to a peer over TCP with --peer host:port']
      : []),
    ...(peers.length === 0 && !(silent && bootstrap === 'public')
      ? [
          'directly over TCP: repro share --listen 0.0.0.0:4977 there, --peer <its address>:4977 here',
        ]
      : []),
  ]
}
