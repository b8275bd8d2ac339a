import { ExitCode } from '../../src/core/exit-codes.ts'
import { share as shareBundles } from '../../src/daemon/operations/share.ts'
import { defineCommand } from '../command.ts'
import { resultRecord } from '../render/result.ts'

export const share = defineCommand({
  exitCodes: [0, 1, 2, 4, 130],
  examples: ['repro share <key>', 'repro share --listen 0.0.0.0:7700'],
  configure(command) {
    command
      .argument('[ref...]', 'bundles to serve; all of this home when none is named')
      .addHelpText(
        'after',
        '\nServes until Ctrl-C or SIGTERM, which end it with code 130. This process owns the store meanwhile.',
      )
  },
  async run({ args }, context) {
    const { output, signal } = context
    const settings = await context.settings()
    const work = shareBundles(settings, args, { signal })
    const { keys } = await context.follow(work, {
      onEntry: record => {
        if (record.message !== undefined) output.line(record.message)
      },
    })
    output.record(resultRecord({ keys }))
    return ExitCode.ok
  },
})
