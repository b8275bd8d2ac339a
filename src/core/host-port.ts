import type { HostPort } from './settings.ts'

/**
 * `host:port` or `[ipv6]:port`; null when `text` is neither.
 * @param lowestPort 0 where the system may choose the port (listening), 1 where one is dialled.
 */
export function parseHostPort(text: string, lowestPort: 0 | 1 = 1): HostPort | null {
  const match = /^(?:\[([0-9A-Fa-f:.]+(?:%[\w.-]+)?)\]|([A-Za-z0-9._-]+)):(\d{1,5})$/.exec(
    text.trim(),
  )
  if (!match) return null
  const port = Number(match[3])
  return port >= lowestPort && port <= 65_535 ? { host: match[1] ?? match[2]!, port } : null
}

export function formatHostPort({ host, port }: HostPort): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}

/** True for addresses that never leave this machine. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host)
}
