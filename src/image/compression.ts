const FOREIGN: readonly [magic: string, name: string, command: string][] = [
  ['28b52ffd', 'zstd', 'zstd -d'],
  ['fd377a585a00', 'xz', 'xz -d'],
  ['425a68', 'bzip2', 'bzip2 -d'],
]

/** The compression that `head` begins with and that is not read yet, and what undoes it; null for none. */
export function foreignCompression(head: Buffer): { name: string; command: string } | null {
  const hex = head.subarray(0, 6).toString('hex')
  const [, name, command] = FOREIGN.find(([magic]) => hex.startsWith(magic)) ?? []
  return name && command ? { name, command } : null
}

export function isGzip(head: Buffer): boolean {
  return head[0] === 0x1f && head[1] === 0x8b
}
