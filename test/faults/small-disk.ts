import { execFileSync, spawn } from 'node:child_process'
import { mkdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { Person, program } from '../helpers/cli.ts'
import { isRoot, missing } from '../helpers/requires.ts'

const MIB = 1 << 20
const NAMESPACE = isRoot ? ['--mount'] : ['--user', '--map-root-user', '--mount']
const ENTER = isRoot ? ['--mount'] : ['--user', '--mount', '--preserve-credentials']

/** Why this machine cannot give a test a disk of its own, or null. */
export function noSmallDisk(): string | null {
  const lacks = missing('program unshare', 'program nsenter')
  if (lacks !== null) return lacks
  try {
    const mount = ['sh', '-ec', 'mount -t tmpfs -o size=1m none /mnt']
    execFileSync('unshare', [...NAMESPACE, ...mount], { stdio: 'pipe' })
    return null
  } catch {
    return 'this machine lets nobody mount a tmpfs'
  }
}

/** A tmpfs of a few MiB that only commands started through it see. Gone when the test is finished. */
export class SmallDisk {
  /** Where it is for the commands. */
  readonly folder: string
  readonly #pid: number

  private constructor(folder: string, pid: number) {
    this.folder = folder
    this.#pid = pid
  }

  static async mount(folder: string, sizeMiB: number): Promise<SmallDisk> {
    mkdirSync(folder, { recursive: true })
    const script = `mount -t tmpfs -o size=${sizeMiB}m none "$1"; echo mounted; exec sleep 600`
    const child = spawn('unshare', [...NAMESPACE, 'sh', '-ec', script, 'sh', folder], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const ended = new Promise<void>(resolve => child.once('close', () => resolve()))
    onTestFinished(async () => {
      child.kill('SIGKILL')
      await ended
    })
    await Promise.race([
      new Promise(resolve => child.stdout.once('data', resolve)),
      ended.then(() => {
        throw new Error('no tmpfs could be mounted')
      }),
    ])
    return new SmallDisk(folder, child.pid!)
  }

  /** Somebody whose folder, home and cache lie on the disk. */
  person(name: string): Person {
    mkdirSync(this.seen(name), { recursive: true })
    const command = [...ENTER, `--target=${this.#pid}`, process.execPath, program]
    return new Person(join(this.folder, name), {
      launch: args => ['nsenter', [...command, ...args]],
    })
  }

  /** Where this process finds a path of the disk. */
  seen(path: string): string {
    return join(`/proc/${this.#pid}/root`, this.folder, path)
  }

  /** Fills the disk but for so many bytes. */
  fill(leaveBytes: number): void {
    const { bavail, bsize } = statfsSync(this.seen('.'))
    const bytes = Math.max(0, bavail * bsize - leaveBytes)
    const chunk = Buffer.alloc(MIB)
    for (let left = bytes; left > 0; left -= MIB)
      writeFileSync(this.seen('filler'), chunk.subarray(0, Math.min(MIB, left)), { flag: 'a' })
  }

  free(): void {
    rmSync(this.seen('filler'))
  }
}
