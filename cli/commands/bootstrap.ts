import { ExitCode } from '../../src/core/exit-codes.ts'
import { bootstrap as runNode } from '../../src/daemon/operations/bootstrap.ts'
import { defineCommand } from '../command.ts'
import { parseCount, parsePort } from '../parse-number.ts'
import { resultRecord } from '../render/result.ts'

interface Flags {
  readonly host: string
  readonly port: number
  readonly nodes: number
}

export const bootstrap = defineCommand<Flags>({
  exitCodes: [0, 1, 2, 130],
  examples: ['repro bootstrap --host 10.0.0.5 --port 49737'],
  configure(command) {
    command
      .option('--host <address>', 'the address other hosts reach this one at', '127.0.0.1')
      .option('--port <port>', 'a UDP port', parsePort, 49737)
      .option(
        '--nodes <n>',
        'how many nodes to run, the others at free ports; below four, first connections are slow',
        parseCount,
        5,
      )
      .addHelpText(
        'after',
        '\nRuns until Ctrl-C or SIGTERM. Others use it with --bootstrap host:port or REPRO_BOOTSTRAP.',
      )
  },
  async run({ flags }, context) {
    const { output, signal } = context
    const work = runNode({ ...flags, signal })
    const address = await context.follow(work, {
      onEntry: record => {
        output.line(record.subject ?? '')
        for (const hint of record.hints ?? []) output.say(`others set: ${hint}`)
      },
    })
    output.record(resultRecord({ ...address }))
    return ExitCode.ok
  },
})
