import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'

/** A command line, and what it needs around it. */
export interface Command {
  readonly argv: readonly string[]
  readonly cwd?: string
  readonly env?: Readonly<Record<string, string>>
}

/** What one run took. What could not be measured is null. */
export interface Sample {
  readonly ms: number
  /** User and system time of the process and all it waited for. */
  readonly cpuMs: number | null
  /** Peak resident size of the largest process. */
  readonly peakBytes: number | null
  /** What the repository grew by: sum of the sizes, and room on the disk. */
  readonly addedBytes: number | null
  readonly addedAllocatedBytes: number | null
}

const TIME = '/usr/bin/time'
const LARGEST_OUTPUT = 256 << 20

/** Runs a command to its end. Throws with its last words when that is not 0. Returns its stdout. */
export function run({ argv, cwd, env }: Command): string {
  const ended = spawnSync(argv[0]!, argv.slice(1), {
    ...(cwd === undefined ? {} : { cwd }),
    env: { PATH: process.env['PATH'] ?? '', LC_ALL: 'C.UTF-8', TZ: 'UTC', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    encoding: 'utf8',
    maxBuffer: LARGEST_OUTPUT,
  })
  if (ended.status === 0) return ended.stdout
  const words = ended.error?.message ?? `${ended.stdout.slice(-500)}\n${ended.stderr.slice(-2000)}`
  throw new Error(
    `${argv.join(' ')} ended with ${ended.signal ?? `code ${ended.status}`}: ${words}`,
  )
}

/** Runs and measures a command; `repository` are the folders whose growth counts. GNU time measures CPU and memory where it is. */
export function timed(command: Command, repository: readonly string[], scratch: string): Sample {
  const before = usage(repository)
  const gnuTime = existsSync(TIME)
  mkdirSync(scratch, { recursive: true })
  const note = join(scratch, 'time')
  const argv = gnuTime
    ? [TIME, '-q', '-o', note, '-f', '%U %S %M', ...command.argv]
    : [...command.argv]
  const started = performance.now()
  run({ ...command, argv })
  const ms = performance.now() - started
  const after = usage(repository)
  const [user, system, peak] = gnuTime ? readFileSync(note, 'utf8').trim().split(' ') : []
  rmSync(note, { force: true })
  return {
    ms,
    cpuMs: gnuTime ? 1000 * (Number(user) + Number(system)) : null,
    peakBytes: gnuTime ? 1024 * Number(peak) : null,
    addedBytes: repository.length === 0 ? null : after.apparent - before.apparent,
    addedAllocatedBytes: repository.length === 0 ? null : after.allocated - before.allocated,
  }
}

function usage(paths: readonly string[]): { apparent: number; allocated: number } {
  const there = paths.filter(path => existsSync(path))
  const sum = (...options: string[]) =>
    there.length === 0 ? 0 : Number.parseInt(lastLine(run(du(options, there))), 10)
  return { apparent: sum('--apparent-size'), allocated: sum() }
}

function du(options: readonly string[], paths: readonly string[]): Command {
  return { argv: ['du', '-s', '-c', '-B1', ...options, ...paths] }
}

function lastLine(text: string): string {
  return text.trimEnd().split('\n').at(-1) ?? ''
}
