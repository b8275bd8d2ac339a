import { ExitCode } from '../../src/core/exit-codes.ts'
import { count, formatBytes } from '../../src/core/text.ts'
import { get as getRelease } from '../../src/daemon/operations/get.ts'
import { collect } from '../collect.ts'
import { defineCommand } from '../command.ts'
import { resultRecord } from '../render/result.ts'

interface Flags {
  readonly only?: readonly string[]
  readonly app?: string
  readonly force?: boolean
  readonly rehash?: boolean
  readonly offline?: boolean
}

export const get = defineCommand<Flags>({
  exitCodes: [0, 1, 2, 3, 4, 5, 130],
  examples: ['repro get <key>@2 ./analysis', "repro get <key> --only 'data/**'"],
  configure(command) {
    command
      .argument('<ref>', 'a key, <key>@<release>, a repro:// link or a name')
      .argument('[dir]', 'the folder to write to; default: the name of the bundle')
      .option('--only <pattern>', 'fetch only these paths; may be repeated', collect)
      .option('--app <name>', 'fetch only what this app needs')
      .option('--force', 'replace files in the folder that were changed since they were fetched')
      .option(
        '--rehash',
        'read again what is in the folder already, and replace what the disk damaged',
      )
      .option('--offline', 'ask no peer')
  },
  async run({ args, flags }, context) {
    const { output, signal } = context
    const work = getRelease(await context.settings(), args[0]!, args[1] ?? null, {
      signal,
      ...(flags.only === undefined ? {} : { only: flags.only }),
      ...(flags.app === undefined ? {} : { app: flags.app }),
      ...(flags.force ? { force: true } : {}),
      ...(flags.rehash ? { rehash: true } : {}),
      ...(flags.offline ? { offline: true } : {}),
    })
    const got = await context.follow(work, { live: true })
    const { key, release, contentHash } = got.identity
    output.line(
      `got ${got.complete ? '' : 'a part of '}${key}@${release} in ${got.folder}`,
      'green',
    )
    output.line(`  content hash  ${contentHash}`)
    output.line(`  written       ${count('path', got.files)}, ${formatBytes(got.bytes)}`)
    if (got.unchanged > 0) output.line(`  unchanged     ${count('path', got.unchanged)}`)
    if (got.removed > 0) output.line(`  removed       ${count('path', got.removed)}`)
    for (const app of got.apps) output.say(`next: repro run ${key}@${release} ${app}`)
    output.record(resultRecord({ ...got }))
    return ExitCode.ok
  },
})
