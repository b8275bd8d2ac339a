import { ExitCode } from '../../src/core/exit-codes.ts'
import type { BundleUsage } from '../../src/core/housekeeping.ts'
import { formatBytes } from '../../src/core/text.ts'
import { du as usage } from '../../src/daemon/operations/du.ts'
import { defineCommand } from '../command.ts'
import type { Output } from '../render/output.ts'
import { resultRecord } from '../render/result.ts'

export const du = defineCommand({
  onlyShows: true,
  exitCodes: [0, 1, 2, 4, 130],
  examples: ['repro du', 'repro du lambda-phage --json'],
  configure(command) {
    command
      .argument('[ref]', 'a bundle of this home; all of them when none is named')
      .addHelpText(
        'after',
        '\nContent: the files of all releases that are here. Stored: their blocks in the store, each\nonce. In place: those served from your own files. Reclaimable: what\nrepro prune would drop. Folders are counted as du counts them.',
      )
  },
  async run({ args }, context) {
    const { output, signal } = context
    const work = usage(await context.settings(), args[0] ?? null, { signal })
    const done = await context.follow(work, {
      onEntry: ({ data }) => printBundle(data as unknown as BundleUsage, output),
    })
    for (const { what, bytes } of done.folders)
      output.line(`${formatBytes(bytes).padStart(10)}  ${what}`)
    const { homeBytes, cacheBytes, reclaimableBytes } = done
    output.line(`${formatBytes(homeBytes + cacheBytes).padStart(10)}  in all`, 'bold')
    if (reclaimableBytes > 0)
      output.say(`next: repro prune frees about ${formatBytes(reclaimableBytes)}`)
    const { bundles, ...rest } = done
    output.record(resultRecord({ ...rest, bundles: bundles.length }))
    return ExitCode.ok
  },
})

function printBundle(bundle: BundleUsage, output: Output): void {
  const { key, name, writable, releases } = bundle
  output.line(`${name ?? key}${writable ? ' (own)' : ''}`, 'bold')
  if (name !== null) output.line(`  key          ${key}`)
  const here = releases.filter(one => one.held !== 'none')
  const list = here.map(
    ({ release, tag, held, kept }) =>
      `${release}${tag === null ? '' : ` (${tag})`}${held === 'part' ? ' in part' : ''}${kept ? '' : ' droppable'}`,
  )
  output.line(`  releases     ${list.length === 0 ? 'none here' : list.join(', ')}`)
  output.line(`  content      ${formatBytes(bundle.contentBytes)}`)
  output.line(`  stored       ${formatBytes(bundle.storedBytes)}`)
  if (bundle.inPlaceBytes > 0) output.line(`  in place     ${formatBytes(bundle.inPlaceBytes)}`)
  output.line(`  shared       ${formatBytes(bundle.sharedBytes)}`)
  output.line(`  reclaimable  ${formatBytes(bundle.reclaimableBytes)}`)
}
