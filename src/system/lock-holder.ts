import { readFile, stat } from 'node:fs/promises'

/** Names a process that holds a lock on one of `paths`, as `process 123 (node …)`; null when that cannot be found. */
export async function findLockHolder(paths: readonly string[]): Promise<string | null> {
  const inodes = new Set<string>()
  for (const path of paths) {
    const stats = await stat(path).catch(() => null)
    if (stats) inodes.add(String(stats.ino))
  }
  const locks = await readFile('/proc/locks', 'utf8').catch(() => '')
  for (const line of locks.split('\n')) {
    const match = /\s(\d+) [0-9a-f]+:[0-9a-f]+:(\d+)\s/.exec(line)
    if (!match || !inodes.has(match[2]!)) continue
    const pid = match[1]!
    if (pid === String(process.pid)) return `this process (${pid})`
    const command = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')
    const words = command.split('\0').filter(word => word !== '')
    return words.length ? `process ${pid} (${words.join(' ').slice(0, 120)})` : `process ${pid}`
  }
  return null
}
