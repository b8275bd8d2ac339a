import type { Bound, Figure, Measure } from './archive-figures.ts'
import { median } from './measure.ts'
import type { Sample } from './timed.ts'

export interface ContenderResult {
  readonly name: string
  readonly samples: readonly Sample[]
}

export interface RowResult {
  readonly id: string
  readonly what: string
  readonly recipe: string
  readonly commit: string
  readonly date: string
  readonly contenders: readonly ContenderResult[]
  /** Who was to take part and could not, and why. */
  readonly absent: readonly string[]
}

/** What lies in bench/results/archive-<dest>.json. */
export interface ArchiveResult {
  readonly bench: 'archive'
  readonly dest: string
  readonly fileSystem: string
  readonly scale: number
  readonly machine: Readonly<Record<string, string | number>>
  readonly versions: Readonly<Record<string, string>>
  readonly rows: readonly RowResult[]
}

/** One bound, judged: null where there is no sample to judge by. */
export interface Judged {
  readonly bound: Bound
  readonly found: number | null
  readonly met: boolean | null
}

/** The bounds of a figure against the samples of a run. */
export function judge(
  figure: Figure,
  bounds: readonly Bound[],
  rows: readonly RowResult[],
): readonly Judged[] {
  return bounds.map(bound => {
    const found = figure.row === '*' ? largest(rows, bound.measure) : foundIn(figure, bound, rows)
    return { bound, found, met: found === null ? null : found <= bound.max }
  })
}

function foundIn(figure: Figure, bound: Bound, rows: readonly RowResult[]): number | null {
  const ours = medianOf(rows, figure.row, figure.ours, bound.measure)
  if (bound.peer === undefined || ours === null) return ours
  const peer = medianOf(rows, figure.row, bound.peer, bound.measure)
  return peer === null || peer <= 0 ? null : (ours / peer) * (bound.factor ?? 1)
}

/** The largest sample of ours in any row. */
function largest(rows: readonly RowResult[], measure: Measure): number | null {
  const all = rows
    .flatMap(row => row.contenders)
    .filter(one => one.name.startsWith('repro'))
    .flatMap(one => one.samples.map(sample => sample[measure]))
    .filter(value => value !== null)
  return all.length === 0 ? null : Math.max(...all)
}

export function medianOf(
  rows: readonly RowResult[],
  row: string,
  contender: string,
  measure: Measure,
): number | null {
  const one = rows.find(({ id }) => id === row)?.contenders.find(({ name }) => name === contender)
  const values = (one?.samples ?? []).map(sample => sample[measure]).filter(v => v !== null)
  return values.length === 0 ? null : median(values)
}
