import { ExitCode } from '../../src/core/exit-codes.ts'
import { inspect as look } from '../../src/daemon/operations/look.ts'
import { defineCommand } from '../command.ts'
import { printManifest } from '../render/manifest.ts'
import { resultRecord } from '../render/result.ts'

interface Flags {
  readonly offline?: boolean
}

export const inspect = defineCommand<Flags>({
  onlyShows: true,
  exitCodes: [0, 2, 4, 5],
  examples: ['repro inspect <key>', 'repro inspect . --json'],
  configure(command) {
    command
      .argument('<ref>', 'a key, <key>@<release>, a repro:// link, a name or a folder')
      .option('--offline', 'ask no peer')
  },
  async run({ args, flags }, context) {
    const options = { signal: context.signal, ...(flags.offline ? { offline: true } : {}) }
    const found = await context.follow(look(await context.settings(), args[0]!, options))
    printManifest(found, context.output)
    context.output.record(resultRecord({ ...found }))
    return ExitCode.ok
  },
})
