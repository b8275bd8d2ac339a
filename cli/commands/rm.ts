import { ExitCode } from '../../src/core/exit-codes.ts'
import { formatBytes } from '../../src/core/text.ts'
import { remove } from '../../src/daemon/operations/rm.ts'
import { ask, canAsk } from '../ask.ts'
import { defineCommand } from '../command.ts'
import { resultRecord } from '../render/result.ts'

interface Flags {
  readonly yes?: boolean
  readonly withKey?: boolean
}

export const rm = defineCommand<Flags>({
  exitCodes: [0, 1, 2, 4, 130],
  examples: ['repro rm <key>', 'repro rm lambda-phage --yes'],
  configure(command) {
    command
      .argument('<ref>', 'a bundle of this home')
      .option('--yes', 'also a bundle that was made here, without asking')
      .option('--with-key', 'its key too: without an export nobody can ever publish to it again')
      .addHelpText(
        'after',
        '\nA bundle of others can be fetched again. Of an own bundle, what no peer has is lost for ever; keep its key first:\nrepro key export <ref> <file>. While its key stays here, the next publish first gets the history back from peers.',
      )
  },
  async run({ args, flags }, context) {
    const { output, signal } = context
    const done = await context.follow(
      remove(await context.settings(), args[0]!, {
        withKey: flags.withKey === true,
        signal,
        confirm: async (key, name) => {
          if (flags.yes) return true
          if (!canAsk() || output.mode.json) return false
          const word = name ?? key
          output.alarm(`${word} was made here: what no peer has of it is lost for ever`, 'yellow')
          return (await ask(`type ${word} to remove it: `, signal)) === word
        },
      }),
      { onEntry: () => undefined },
    )
    output.line(
      `removed ${done.name ?? done.key}, freed ${formatBytes(done.freedBytes)} on disk`,
      'green',
    )
    if (done.own)
      output.say(
        done.keyKept
          ? '  its key stays here: before it writes again, repro publish fetches the history from peers'
          : '  its key is gone from this home',
      )
    output.record(resultRecord({ ...done }))
    return ExitCode.ok
  },
})
