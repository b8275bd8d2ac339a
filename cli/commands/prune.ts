import { ExitCode } from '../../src/core/exit-codes.ts'
import type { Dropped } from '../../src/core/housekeeping.ts'
import { count, formatBytes } from '../../src/core/text.ts'
import { prune as drop } from '../../src/daemon/operations/prune.ts'
import { defineCommand } from '../command.ts'
import { parseLast } from '../parse-number.ts'
import { resultRecord } from '../render/result.ts'

interface Flags {
  readonly keepLast?: number
  readonly emptyCache?: boolean
  readonly dryRun?: boolean
  readonly yes?: boolean
}

export const prune = defineCommand<Flags>({
  exitCodes: [0, 1, 2, 4, 130],
  examples: [
    'repro prune --dry-run',
    'repro prune lambda-phage --keep-last 2',
    'repro prune --empty-cache',
  ],
  configure(command) {
    command
      .argument('[ref]', 'a bundle of this home; all of them when none is named')
      .option(
        '--keep-last <n>',
        'how many of the newest releases of each bundle stay (1); 0 keeps only pins of bundles of others',
        parseLast,
      )
      .option(
        '--empty-cache',
        'empty the cache too: stages, unpacked images, what was noted of files',
      )
      .option('--dry-run', 'say what would be dropped, and do nothing')
      .option('--yes', 'drop releases of own bundles that no peer is known to have: lost for ever')
      .addHelpText(
        'after',
        '\nPinned releases and the newest release of an own bundle always stay, and so do the records, manifests and file\nlists of all releases. What was dropped comes back from peers by repro get.',
      )
  },
  async run({ args, flags }, context) {
    const { output, signal } = context
    const { dryRun } = flags
    const work = drop(await context.settings(), args[0] ?? null, { ...flags, signal })
    const verb = dryRun ? 'would drop' : 'dropped'
    const done = await context.follow(work, {
      onEntry: ({ data }) => {
        const { key, name, releases, bytes, inPlaceBytes } = data as unknown as Dropped
        const what = releases.length === 0 ? 'leftovers' : releases.join(', ')
        const inPlace = inPlaceBytes > 0 ? `, and ${formatBytes(inPlaceBytes)} in place` : ''
        output.line(`${verb}  ${name ?? key}  ${what}  ${formatBytes(bytes)}${inPlace}`)
      },
    })
    for (const { what, bytes, inUse } of done.cache)
      output.line(`${inUse ? 'in use, kept' : verb}  cache ${what}  ${formatBytes(bytes)}`)
    const nothing = done.bundles.length === 0 && done.cache.length === 0
    if (dryRun) output.line(`would give up ${formatBytes(done.clearedBytes)}; nothing was done`)
    else if (nothing) output.line(`nothing to drop; freed ${formatBytes(done.freedBytes)}`)
    else
      output.line(
        `freed ${formatBytes(done.freedBytes)} on disk (${count('bundle', done.bundles.length)})`,
        'green',
      )
    output.record(resultRecord({ ...done }))
    return ExitCode.ok
  },
})
