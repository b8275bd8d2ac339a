import { existsSync, mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { type Contender, type Group, type Row, type Tool, VERIFY } from './archive-groups.ts'
import type { RowResult } from './archive-result.ts'
import { type Archiver, filesOf, knowsFlag, REPRO, REPRO_IN_PLACE } from './archivers.ts'
import { type Command, run, type Sample, timed } from './timed.ts'
import type { Workload } from './workloads.ts'

export interface RunOptions {
  /** Everything is made below this folder. */
  readonly folder: string
  readonly scale: number
  readonly rounds: number
  readonly asked: (row: string) => boolean
  /** Names that this machine does not have, with the reason. */
  readonly absent: ReadonlyMap<string, string>
  readonly commit: string
  readonly say: (text: string) => void
}

/** Caches that compare times do not trust files changed in the same moment: let that moment pass for all. */
const SETTLE_MS = 1100

/** One of a row, ready to be measured once. */
interface Entrant {
  readonly name: string
  readonly rounds: number
  once(round: number): Sample
}

/** Measures the asked rows of a group, and leaves nothing behind. */
export function* runGroup(group: Group, options: RunOptions): Generator<RowResult> {
  const rows = group.rows.filter(row => options.asked(row.id))
  if (rows.length === 0) return
  const { folder, say } = options
  const source = join(folder, 'source')
  rmSync(folder, { recursive: true, force: true })
  try {
    say(`${group.name}: making the files`)
    const workload = group.make(source, options.scale)
    const stage = new Stage(options, workload)
    for (const [i, row] of rows.entries()) yield stage.measure(row, rows.slice(i + 1))
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

class Stage {
  readonly #options: RunOptions
  readonly #workload: Workload
  readonly #files: readonly string[]
  /** How many releases each place holds; those that are not here hold none. */
  readonly #releases = new Map<string, number>()

  constructor(options: RunOptions, workload: Workload) {
    this.#options = options
    this.#workload = workload
    this.#files = filesOf(workload.folder).filter(path => !path.endsWith('/repro.yaml'))
  }

  measure(row: Row, later: readonly Row[]): RowResult {
    const { absent, commit, say } = this.#options
    const reasons: string[] = []
    const here = (name: string) => {
      const reason = absent.get(name) ?? this.#unable(name)
      if (reason !== null) reasons.push(`${name}: ${reason}`)
      return reason === null
    }
    const entrants = this.#entrants(row, later, here)
    const samples = entrants.map(() => [] as Sample[])
    const rounds = Math.min(this.#options.rounds, row.atMost ?? this.#options.rounds)
    for (let round = 0; round < rounds; round++) {
      if (row.kind === 'republish') {
        row.change(this.#workload, this.#files, round)
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, SETTLE_MS)
      }
      say(`${row.id}: round ${round + 1} of ${rounds}`)
      for (let i = 0; i < entrants.length; i++) {
        const at = (i + round) % entrants.length
        if (round < entrants[at]!.rounds) samples[at]!.push(entrants[at]!.once(round))
      }
    }
    return {
      id: row.id,
      what: row.what,
      recipe: `${row.what}: ${this.#workload.recipe}`,
      commit,
      date: new Date().toISOString().slice(0, 10),
      contenders: entrants.map(({ name }, i) => ({ name, samples: samples[i]! })),
      absent: reasons,
    }
  }

  #unable(name: string): string | null {
    if (name !== REPRO_IN_PLACE.name || knowsFlag('--in-place')) return null
    return 'this build has no such flag'
  }

  #entrants(row: Row, later: readonly Row[], here: (name: string) => boolean): Entrant[] {
    const archivers = 'contenders' in row ? row.contenders : []
    const tools = 'tools' in row ? (row.tools ?? []) : []
    return [
      ...archivers
        .filter(({ archiver }) => here(archiver.name))
        .map(contender => this.#archiverIn(row, contender, later)),
      ...tools.filter(({ name }) => here(name)).map(tool => this.#toolIn(row, tool)),
    ]
  }

  #archiverIn(row: Row, { archiver, atMost }: Contender, later: readonly Row[]): Entrant {
    const once = (): Sample => {
      if (row.kind === 'checkout') return this.#checkout(archiver)
      if (row.kind === 'publish') this.#clear(archiver)
      const sample = this.#publish(archiver)
      if (row.kind === 'publish' && !later.some(next => uses(next, archiver))) this.#clear(archiver)
      return sample
    }
    if (row.kind !== 'publish') this.#ensure(archiver)
    return { name: archiver.name, rounds: atMost ?? Number.POSITIVE_INFINITY, once }
  }

  #toolIn(row: Row, tool: Tool): Entrant {
    const folder = row.kind === 'verify' ? this.#checkedOut() : this.#workload.folder
    const once = () => this.#timed(tool.command(folder), [])
    return { name: tool.name, rounds: Number.POSITIVE_INFINITY, once }
  }

  /** A folder that `repro get` wrote, for verify. */
  #checkedOut(): string {
    const target = this.#target(REPRO)
    if (!existsSync(target)) {
      this.#ensure(REPRO)
      run(REPRO.checkout!(this.#place(REPRO), this.#workload.folder, target))
    }
    return target
  }

  #checkout(archiver: Archiver): Sample {
    const target = this.#target(archiver)
    rmSync(target, { recursive: true, force: true })
    mkdirSync(join(target, '..'), { recursive: true })
    const place = this.#place(archiver)
    const sample = this.#timed(archiver.checkout!(place, this.#workload.folder, target), [])
    if (archiver !== REPRO) rmSync(target, { recursive: true })
    return sample
  }

  /** Makes sure that there is a release of the source as it is. */
  #ensure(archiver: Archiver): void {
    const place = this.#place(archiver)
    if (this.#releases.has(place)) return
    this.#clear(archiver)
    this.#publish(archiver)
  }

  #publish(archiver: Archiver): Sample {
    const place = this.#place(archiver)
    const source = this.#workload.folder
    const n = (this.#releases.get(place) ?? 0) + 1
    if (n === 1) archiver.prepare(place)
    archiver.before?.(place, source)
    const sample = this.#timed(archiver.publish(place, source, n), [archiver.repository(place)])
    archiver.after?.(place, source)
    this.#releases.set(place, n)
    return sample
  }

  #clear(archiver: Archiver): void {
    const place = this.#place(archiver)
    this.#releases.delete(place)
    rmSync(place, { recursive: true, force: true })
  }

  #timed(command: Command, repository: readonly string[]): Sample {
    run({ argv: ['sync'] })
    return timed(command, repository, join(this.#options.folder, 'scratch'))
  }

  #place(archiver: Archiver): string {
    return join(this.#options.folder, archiver.slug)
  }
  #target(archiver: Archiver): string {
    return join(this.#options.folder, 'checkout', archiver.slug)
  }
}

function uses(row: Row, archiver: Archiver): boolean {
  if (row.kind === 'verify') return archiver === REPRO && row.tools.includes(VERIFY)
  return row.kind !== 'publish' && row.contenders.some(one => one.archiver === archiver)
}
