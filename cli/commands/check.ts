import { ExitCode } from '../../src/core/exit-codes.ts'
import { count, formatBytes } from '../../src/core/text.ts'
import { check as checkFolder } from '../../src/daemon/operations/check.ts'
import { defineCommand } from '../command.ts'

interface Flags {
  readonly recapture?: boolean
}

export const check = defineCommand<Flags>({
  exitCodes: [0, 1, 2, 130],
  examples: ['repro check', 'repro check ./analysis --json'],
  configure(command) {
    command
      .argument('[dir]', 'the folder with repro.yaml', '.')
      .option('--recapture', 'capture host: images again')
  },
  async run({ args, flags }, context) {
    const { output, signal } = context
    const work = checkFolder(await context.settings(), args[0] ?? '.', {
      signal,
      ...(flags.recapture ? { recapture: true } : {}),
    })
    const result = await context.follow(work)
    const { faults, warnings, files, bytes } = result
    const bad = faults.length > 0
    output.line(
      bad
        ? `${count('thing', faults.length)} that publish would refuse, ${count('warning', warnings.length)}`
        : `ready to publish: ${count('file', files)}, ${formatBytes(bytes)}, ${count('warning', warnings.length)}`,
      bad ? 'red' : 'green',
    )
    if (!bad) output.say('next: repro run . --record   then: repro publish')
    output.record({ action: 'result', status: bad ? 'error' : 'ok', data: { ...result } })
    return bad ? ExitCode.usage : ExitCode.ok
  },
})
