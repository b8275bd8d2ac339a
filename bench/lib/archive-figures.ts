import type { Sample } from './timed.ts'

export type Measure = keyof Sample

/** A figure that the issue asks for: at most `max` times a peer's median of the same row, or at most `max` itself. */
export interface Bound {
  readonly measure: Measure
  readonly max: number
  readonly peer?: string
  /** What one unit of ours is to one of the peer: 0.1 for ten times the files. */
  readonly factor?: number
}

export interface Figure {
  readonly row: string
  readonly what: string
  readonly ours: string
  readonly must: readonly Bound[]
  readonly aim: readonly Bound[]
}

const NO_COMPRESSION = 'restic --compression off'
const BORG = 'borg -e none --compression none'
const time = (max: number, peer: string): Bound => ({ measure: 'ms', max, peer })
const added = (max: number, peer: string): Bound => ({ measure: 'addedBytes', max, peer })
const memory = (max: number): Bound => ({ measure: 'peakBytes', max })
const perFile = (measure: Measure, factor: number, max: number): Bound => ({
  measure,
  factor,
  max,
  peer: 'repro, 10,000 files',
})

/** The table of the issue. */
export const FIGURES: readonly Figure[] = [
  {
    row: 'publish-big',
    what: 'publish 1 GiB random file',
    ours: 'repro',
    must: [time(0.8, BORG), time(0.4, NO_COMPRESSION)],
    aim: [time(0.5, BORG)],
  },
  {
    row: 'publish-in-place',
    what: 'publish 1 GiB in place',
    ours: 'repro --in-place',
    must: [time(5, 'b3sum')],
    aim: [time(3, 'b3sum')],
  },
  {
    row: 'publish-tree',
    what: 'publish 20,000 small files',
    ours: 'repro',
    must: [time(1.2, NO_COMPRESSION), time(0.15, 'mirror-drive')],
    aim: [time(0.8, NO_COMPRESSION)],
  },
  {
    row: 'unchanged',
    what: 're-publish, nothing changed (20,000)',
    ours: 'repro',
    must: [time(0.5, NO_COMPRESSION)],
    aim: [time(0.25, NO_COMPRESSION)],
  },
  {
    row: 'insert',
    what: 're-publish after 1 KiB inserted at the front of 1 GiB',
    ours: 'repro',
    must: [time(1, BORG), added(1, NO_COMPRESSION)],
    aim: [time(0.7, BORG), { measure: 'addedBytes', max: 256 << 10 }],
  },
  {
    row: 'change',
    what: 're-publish after 1 % of 20,000 files changed',
    ours: 'repro',
    must: [time(1, NO_COMPRESSION), added(1, NO_COMPRESSION)],
    aim: [time(0.5, 'bup')],
  },
  {
    row: 'checkout-tree',
    what: 'checkout 20,000 files',
    ours: 'repro',
    must: [time(1, NO_COMPRESSION)],
    aim: [time(1.5, 'cp -r')],
  },
  {
    row: 'checkout-big',
    what: 'checkout 1 GiB',
    ours: 'repro',
    must: [time(1, NO_COMPRESSION)],
    aim: [time(1.5, 'cp -r')],
  },
  {
    row: 'verify-big',
    what: 'verify 1 GiB checked out',
    ours: 'repro',
    must: [time(1.5, 'b3sum')],
    aim: [time(1.15, 'b3sum')],
  },
  {
    row: 'verify-tree',
    what: 'verify 20,000 files checked out',
    ours: 'repro',
    must: [time(1, 'find | xargs b3sum')],
    aim: [time(0.75, 'find | xargs b3sum')],
  },
  {
    row: '*',
    what: 'peak memory of any of these',
    ours: 'repro',
    must: [memory(400e6)],
    aim: [memory(250e6)],
  },
  {
    row: 'growth',
    what: 'growth, 10,000 to 100,000 files: time per file',
    ours: 'repro, 100,000 files',
    must: [perFile('ms', 0.1, 1.3)],
    aim: [perFile('ms', 0.1, 1.1)],
  },
  {
    row: 'growth',
    what: 'growth, 10,000 to 100,000 files: memory',
    ours: 'repro, 100,000 files',
    must: [perFile('peakBytes', 1, 1.3)],
    aim: [perFile('peakBytes', 1, 1.1)],
  },
]
