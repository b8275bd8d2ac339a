import type { WorkRecord } from '../../schemas/index.ts'
import { fail } from '../../src/core/errors.ts'
import { ExitCode } from '../../src/core/exit-codes.ts'
import { cat as print } from '../../src/daemon/operations/look.ts'
import { defineCommand } from '../command.ts'
import { chunkOf } from '../render/app-output.ts'
import { resultRecord } from '../render/result.ts'

interface Flags {
  readonly offline?: boolean
}

export const cat = defineCommand<Flags>({
  onlyShows: true,
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
    const work = print(await context.settings(), ref!, path!, options)
    const toTerminal = context.output.stdout.isTTY === true && !context.output.mode.json
    const file = await context.follow(toTerminal ? refuseBinary(work, path!) : work)
    context.output.record(resultRecord({ ...file }))
    return ExitCode.ok
  },
})

/** A terminal cannot show binary data: throws USAGE at the first NUL byte. */
async function* refuseBinary<T>(
  work: AsyncGenerator<WorkRecord, T>,
  path: string,
): AsyncGenerator<WorkRecord, T> {
  try {
    for (;;) {
      const step = await work.next()
      if (step.done) return step.value
      if (step.value.action === 'stdout' && chunkOf(step.value).includes(0))
        fail('USAGE', `"${path}" is binary: it is not written to a terminal`, {
          hints: [`write it to a file: repro cat … > ${path.split('/').at(-1)}`],
        })
      yield step.value
    }
  } finally {
    await work.return(undefined as T)
  }
}
