import { ExitCode } from '../../src/core/exit-codes.ts'
import { init as initFolder } from '../../src/daemon/operations/init.ts'
import { defineCommand } from '../command.ts'
import { resultRecord } from '../render/result.ts'

interface Flags {
  readonly force?: boolean
}

export const init = defineCommand<Flags>({
  exitCodes: [0, 1, 2, 4],
  examples: ['repro init', 'repro init ./analysis'],
  configure(command) {
    command
      .argument('[dir]', 'the folder', '.')
      .option('--force', 'replace the repro.yaml that is there')
  },
  async run({ args, flags }, context) {
    const { output, signal } = context
    const work = initFolder(args[0] ?? '.', { signal, ...(flags.force ? { force: true } : {}) })
    const { path, survey } = await context.follow(work)
    output.line(`wrote ${path}`, 'green')
    output.say(`next: read it, then: repro check ${args[0] ?? ''}`.trimEnd())
    output.record(resultRecord({ path, survey }))
    return ExitCode.ok
  },
})
