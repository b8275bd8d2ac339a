import { ExitCode } from '../../src/core/exit-codes.ts'
import { cat as print } from '../../src/daemon/operations/look.ts'
import { defineCommand } from '../command.ts'
import { resultRecord } from '../render/result.ts'

interface Flags {
  readonly offline?: boolean
}

export const cat = defineCommand<Flags>({
  exitCodes: [0, 2, 4, 5],
  examples: ['repro cat <key>@2 data/counts.tsv > counts.tsv'],
  configure(command) {
    command
      .argument('<ref>', 'a key, <key>@<release>, a repro:// link, a name or a folder')
      .argument('<path>', 'a file of the bundle')
      .option('--offline', 'ask no peer')
      .addHelpText(
        'after',
        '\nThe bytes are written as they are, but to a terminal only what cannot take control of it.\nWith --json they come as records: "message" where they are UTF-8, else "data.base64".',
      )
  },
  async run({ args, flags }, context) {
    const [ref, path] = args
    const options = { signal: context.signal, ...(flags.offline ? { offline: true } : {}) }
    const file = await context.follow(print(await context.settings(), ref!, path!, options))
    context.output.record(resultRecord({ ...file }))
    return ExitCode.ok
  },
})
