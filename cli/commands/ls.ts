import type { IndexEntry } from '../../schemas/index.ts'
import { ExitCode } from '../../src/core/exit-codes.ts'
import { count, escapeControl, formatBytes } from '../../src/core/text.ts'
import { ls as list } from '../../src/daemon/operations/look.ts'
import { defineCommand } from '../command.ts'
import { resultRecord } from '../render/result.ts'

interface Flags {
  readonly long?: boolean
  readonly all?: boolean
  readonly offline?: boolean
}

export const ls = defineCommand<Flags>({
  onlyShows: true,
  exitCodes: [0, 2, 4, 5],
  examples: ['repro ls . data', "repro ls <key>@2 'data/**' --long"],
  configure(command) {
    command
      .argument('<ref>', 'a key, <key>@<release>, a repro:// link, a name or a folder')
      .argument('[pattern...]', "paths, or patterns like 'data/**'")
      .option('-l, --long', 'show sizes and hashes')
      .option('-a, --all', 'show the files of images below .repro/ as well')
      .option('--offline', 'ask no peer')
  },
  async run({ args, flags }, context) {
    const { output, signal } = context
    const [ref, ...patterns] = args
    const options = {
      signal,
      ...(flags.all ? { all: true } : {}),
      ...(flags.offline ? { offline: true } : {}),
    }
    const work = list(await context.settings(), ref!, patterns, options)
    const listing = await context.follow(work, {
      onEntry: ({ data }) => {
        if (data?.['hidden'] === true) return
        output.line(formatEntry(data as unknown as IndexEntry, flags.long === true))
      },
    })
    const { entries, bytes, hidden } = listing
    const rest = hidden === 0 ? '' : `; ${hidden} below .repro/ not shown, but with --all`
    output.say(`${count('entry', entries)}, ${formatBytes(bytes)}${rest}`, 'dim')
    output.record(resultRecord({ ...listing }))
    return ExitCode.ok
  },
})

function formatEntry(entry: IndexEntry, long: boolean): string {
  const path = escapeControl(entry.path)
  const name =
    entry.type === 'folder'
      ? `${path}/`
      : entry.type === 'link'
        ? `${path} -> ${escapeControl(entry.target)}`
        : path
  if (!long) return name
  const size = entry.type === 'file' ? String(entry.size) : '-'
  const mark = entry.type === 'file' && entry.executable ? 'x' : entry.type.charAt(0)
  const hash = entry.type === 'file' ? entry.blake3 : '-'.padEnd(64)
  return `${mark} ${size.padStart(12)} ${hash} ${name}`
}
