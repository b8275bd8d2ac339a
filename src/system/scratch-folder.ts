import { createHash, randomBytes } from 'node:crypto'
import { lstat, mkdir, readdir, readFile, readlink, rm, stat } from 'node:fs/promises'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'

/** After this long a scratch folder of another host counts as left behind. */
const ABANDONED_MS = 24 * 3600 * 1000

/**
 * Makes a private folder `<cache>/tmp/<kind>.<host>.<pid>.<random>`, and removes those that killed processes left there.
 * Whoever makes it renames it into place or removes it.
 */
export async function makeScratchFolder(cache: string, kind: string): Promise<string> {
  const parent = join(cache, 'tmp')
  await mkdir(parent, { recursive: true, mode: 0o700 })
  return await makeSweptFolder(parent, kind, /^[a-z-]+\./, 0o755)
}

/** The same in the system's folder for temporary files, among whatever others keep there, and closed to them. */
export async function makeTemporaryFolder(kind: string): Promise<string> {
  return await makeSweptFolder(tmpdir(), `repro-${kind}`, new RegExp(`^repro-${kind}\\.`), 0o700)
}

async function makeSweptFolder(
  parent: string,
  kind: string,
  ours: RegExp,
  mode: number,
): Promise<string> {
  const host = await hostMark()
  await sweep(parent, host, ours)
  const folder = join(parent, `${kind}.${host}.${process.pid}.${randomBytes(6).toString('hex')}`)
  await mkdir(folder, { mode })
  return folder
}

/** Names the set of processes among which a pid means something: host, boot and pid namespace. */
async function hostMark(): Promise<string> {
  const boot = await readFile('/proc/sys/kernel/random/boot_id', 'utf8').catch(() => '')
  const pids = await readlink('/proc/self/ns/pid').catch(() => '')
  return createHash('sha256').update(`${hostname()}\n${boot}\n${pids}`).digest('hex').slice(0, 12)
}

async function sweep(parent: string, host: string, ours: RegExp): Promise<void> {
  for (const name of await readdir(parent)) {
    if (!ours.test(name)) continue
    const [, owner, pid] = /^[a-z-]+\.([0-9a-f]{12})\.([0-9]+)\.[0-9a-f]{12}$/.exec(name) ?? []
    if (owner === undefined) continue
    const path = join(parent, name)
    const dead = owner === host ? !isAlive(Number(pid)) : await isOld(path)
    if (dead && (await isMine(path))) await rm(path, { recursive: true, force: true })
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

async function isOld(path: string): Promise<boolean> {
  const found = await stat(path).catch(() => null)
  return found !== null && Date.now() - found.mtimeMs > ABANDONED_MS
}

async function isMine(path: string): Promise<boolean> {
  const found = await lstat(path).catch(() => null)
  return found?.isDirectory() === true && found.uid === process.getuid?.()
}
