import { join } from 'node:path'
import {
  type Archiver,
  BORG,
  BUP,
  COPY,
  FEW,
  MANY,
  MIRROR_DRIVE,
  MIRROR_DRIVE_BATCH,
  REPRO,
  REPRO_10_000,
  REPRO_100_000,
  REPRO_IN_PLACE,
  RESTIC,
  RESTIC_DEFAULT,
  repro,
} from './archivers.ts'
import type { Command } from './timed.ts'
import {
  bigFile,
  changeFiles,
  imageTree,
  insertAtFront,
  smallFiles,
  type Workload,
} from './workloads.ts'

/** Who takes part in a row, and in how many rounds at most. */
export interface Contender {
  readonly archiver: Archiver
  readonly atMost?: number
}

/** A plain command beside or instead of an archiver. */
export interface Tool {
  readonly name: string
  readonly program: string
  command(folder: string): Command
}

export type Row = {
  readonly id: string
  readonly what: string
  readonly atMost?: number
} & (
  | {
      readonly kind: 'publish'
      readonly contenders: readonly Contender[]
      readonly tools?: readonly Tool[]
    }
  | {
      readonly kind: 'republish'
      readonly contenders: readonly Contender[]
      /** Done once before each round, for all. `files` are those of the workload as it was made. */
      change(workload: Workload, files: readonly string[], round: number): void
    }
  | { readonly kind: 'checkout'; readonly contenders: readonly Contender[] }
  | { readonly kind: 'verify'; readonly tools: readonly Tool[] }
)

/** Rows that use one workload, so that it is made once and gone before the next. */
export interface Group {
  readonly name: string
  make(folder: string, scale: number): Workload
  readonly rows: readonly Row[]
}

const B3SUM: Tool = {
  name: 'b3sum',
  program: 'b3sum',
  command: folder => ({ argv: ['b3sum', join(folder, 'data.bin')] }),
}
const FIND_B3SUM: Tool = {
  name: 'find | xargs b3sum',
  program: 'b3sum',
  command: folder => ({
    argv: [
      'sh',
      '-ec',
      'find "$1" -name .repro -prune -o -type f -print0 | xargs -0 b3sum',
      'sh',
      folder,
    ],
  }),
}
/** Stands first among the tools of a verify row: the folder it checks is one that `get` wrote. */
export const VERIFY: Tool = {
  name: 'repro',
  program: process.execPath,
  command: folder => repro(join(folder, '../..', REPRO.slug), 'verify', folder, '--quiet'),
}

const all = (...archivers: readonly Archiver[]): Contender[] =>
  archivers.map(archiver => ({ archiver }))
/** For orientation: no figure is held against them, and they take long. */
const some = (...archivers: readonly Archiver[]): Contender[] =>
  archivers.map(archiver => ({ archiver, atMost: 2 }))

const scaled = (count: number, scale: number) => Math.max(1, Math.round(count * scale))

export const GROUPS: readonly Group[] = [
  {
    name: 'big',
    make: (folder, scale) => bigFile(folder, scaled(2 ** 30, scale)),
    rows: [
      {
        id: 'publish-in-place',
        what: 'publish 1 GiB random file in place',
        kind: 'publish',
        contenders: all(REPRO_IN_PLACE),
        tools: [B3SUM],
      },
      {
        id: 'publish-big',
        what: 'publish 1 GiB random file',
        kind: 'publish',
        contenders: [...all(REPRO, BORG, RESTIC), ...some(RESTIC_DEFAULT, BUP, MIRROR_DRIVE, COPY)],
      },
      {
        id: 'checkout-big',
        what: 'checkout 1 GiB',
        kind: 'checkout',
        contenders: [...all(REPRO, RESTIC, COPY), ...some(BORG)],
      },
      { id: 'verify-big', what: 'verify 1 GiB', kind: 'verify', tools: [VERIFY, B3SUM] },
      {
        id: 'insert',
        what: 're-publish after 1 KiB was inserted at the front, once more in each round',
        kind: 'republish',
        contenders: all(REPRO, BORG, RESTIC),
        change: (workload, _files, round) => insertAtFront(workload, round),
      },
    ],
  },
  {
    name: 'tree',
    make: (folder, scale) => smallFiles(folder, scaled(20_000, scale)),
    rows: [
      {
        id: 'publish-tree',
        what: 'publish 20,000 small files',
        kind: 'publish',
        contenders: [
          ...all(REPRO, RESTIC, MIRROR_DRIVE),
          ...some(RESTIC_DEFAULT, BORG, BUP, MIRROR_DRIVE_BATCH, COPY),
        ],
      },
      {
        id: 'checkout-tree',
        what: 'checkout 20,000 small files',
        kind: 'checkout',
        contenders: [...all(REPRO, RESTIC, COPY), ...some(BORG)],
      },
      {
        id: 'verify-tree',
        what: 'verify 20,000 files',
        kind: 'verify',
        tools: [VERIFY, FIND_B3SUM],
      },
      {
        id: 'unchanged',
        what: 're-publish, nothing changed',
        kind: 'republish',
        contenders: [...all(REPRO, RESTIC), ...some(BORG, BUP)],
        change: () => undefined,
      },
      {
        id: 'change',
        what: 're-publish after 1 % of the files changed, others in each round',
        kind: 'republish',
        contenders: [...all(REPRO, RESTIC, BUP), ...some(BORG)],
        change: (_workload, files, round) =>
          changeFiles(files, Math.ceil(files.length / 100), round),
      },
    ],
  },
  {
    name: 'image',
    make: (folder, scale) => imageTree(folder, scaled(2 ** 31, scale)),
    rows: [
      {
        id: 'publish-image',
        what: 'publish a tree of 2 GiB like an unpacked image',
        atMost: 3,
        kind: 'publish',
        contenders: [...all(REPRO, RESTIC), { archiver: BORG, atMost: 3 }],
      },
    ],
  },
  {
    name: 'growth',
    make: growingTrees,
    rows: [
      {
        id: 'growth',
        what: 'publish 10,000 and 100,000 small files',
        atMost: 3,
        kind: 'publish',
        contenders: all(REPRO_10_000, REPRO_100_000),
      },
    ],
  },
]

function growingTrees(folder: string, scale: number): Workload {
  const few = smallFiles(join(folder, FEW), scaled(10_000, scale))
  const many = smallFiles(join(folder, MANY), scaled(100_000, scale))
  return {
    folder,
    files: few.files + many.files,
    bytes: few.bytes + many.bytes,
    recipe: `${few.recipe}, and ${many.recipe}`,
  }
}
