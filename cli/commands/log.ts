import { ExitCode } from '../../src/core/exit-codes.ts'
import type { ReleaseSummary } from '../../src/core/home.ts'
import { count, formatBytes } from '../../src/core/text.ts'
import { log as readLog } from '../../src/daemon/operations/history.ts'
import { defineCommand } from '../command.ts'
import type { Output } from '../render/output.ts'
import { resultRecord } from '../render/result.ts'

interface Flags {
  readonly offline?: boolean
}

export const log = defineCommand<Flags>({
  onlyShows: true,
  exitCodes: [0, 2, 4, 5],
  examples: ['repro log <key>'],
  configure(command) {
    command
      .argument(
        '<ref>',
        'a key, a repro:// link, a name, or a folder that was published or fetched',
      )
      .option('--offline', 'ask no peer')
  },
  async run({ args, flags }, context) {
    const options = { signal: context.signal, ...(flags.offline ? { offline: true } : {}) }
    const releases = await context.follow(readLog(await context.settings(), args[0]!, options))
    for (const release of [...releases].reverse()) printRelease(release, context.output)
    context.output.record(resultRecord({ releases: releases.length }))
    return releases.some(release => release.fault !== null) ? ExitCode.verification : ExitCode.ok
  },
})

function printRelease({ release, record, fault }: ReleaseSummary, output: Output): void {
  const tag = record?.tag === undefined ? '' : ` (${record.tag})`
  output.line(`release ${release}${tag}${record === null ? '' : `  ${record.date}`}`, 'bold')
  if (fault !== null) output.line(`  not to be trusted: ${fault}`, 'red')
  if (record === null) return
  output.line(`  ${record.contentHash}`)
  output.line(`  ${count('file', record.files)}, ${formatBytes(record.bytes)}`)
  if (record.message !== undefined) output.block(record.message)
}
