import type { IndexEntry, WorkRecord } from '../../schemas/index.ts'
import type { Difference } from '../../src/archive/diff.ts'
import { ExitCode } from '../../src/core/exit-codes.ts'
import { escapeControl, formatBytes } from '../../src/core/text.ts'
import { diff as compare } from '../../src/daemon/operations/history.ts'
import { defineCommand } from '../command.ts'
import { resultRecord } from '../render/result.ts'

interface Flags {
  readonly offline?: boolean
}

export const diff = defineCommand<Flags>({
  onlyShows: true,
  exitCodes: [0, 2, 4, 5],
  examples: ['repro diff <key>@1 <key>@2', 'repro diff <key> .'],
  configure(command) {
    command
      .argument('<from>', 'a release, as <key>@<release>, or a folder')
      .argument('<to>', 'another')
      .option('--offline', 'ask no peer')
  },
  async run({ args, flags }, context) {
    const { output } = context
    const options = { signal: context.signal, ...(flags.offline ? { offline: true } : {}) }
    const work = compare(await context.settings(), args[0]!, args[1]!, options)
    const found = await context.follow(work, { onEntry: record => output.line(describe(record)) })
    const paths = found.added + found.removed + found.changed
    output.line(
      paths === 0
        ? 'no path differs'
        : `${found.added} added, ${found.removed} removed, ${found.changed} changed`,
      'bold',
    )
    if (found.manifestChanged) output.line('the manifest differs too (apps, images or metadata)')
    output.record(resultRecord({ ...found }))
    return ExitCode.ok
  },
})

const MARKS = { added: '+', removed: '-', changed: '~' } as const

function describe(record: WorkRecord): string {
  const { change, path, before, after } = record.data as unknown as Difference
  return `${MARKS[change]} ${escapeControl(path)}${explain(before, after)}`
}

function explain(from: IndexEntry | null, to: IndexEntry | null): string {
  if (!from || !to) {
    const one = from ?? to
    return one?.type === 'file' ? `  ${formatBytes(one.size)}` : ''
  }
  if (from.type !== to.type) return `  was a ${from.type}, is a ${to.type}`
  if (from.type === 'link' && to.type === 'link')
    return `  -> ${escapeControl(to.target)}, was ${escapeControl(from.target)}`
  if (from.type !== 'file' || to.type !== 'file') return ''
  if (from.blake3 === to.blake3)
    return to.executable ? '  made executable' : '  no longer executable'
  return from.size === to.size
    ? `  ${formatBytes(to.size)}, other bytes`
    : `  ${formatBytes(from.size)} -> ${formatBytes(to.size)}`
}
