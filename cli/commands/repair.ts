import { fail } from '../../src/core/errors.ts'
import { ExitCode } from '../../src/core/exit-codes.ts'
import { count } from '../../src/core/text.ts'
import { repairIndex } from '../../src/daemon/operations/repair.ts'
import { repairStore } from '../../src/daemon/operations/repair-store.ts'
import { defineCommand } from '../command.ts'
import { resultRecord } from '../render/result.ts'

export const repair = defineCommand({
  exitCodes: [0, 1, 2, 4, 130],
  examples: [
    'repro repair index lambda-phage',
    'repro repair store',
    'repro verify <key> --repair',
  ],
  configure(command) {
    command
      .usage('index <ref> | store [options]')
      .argument(
        '[what]',
        'index: the block index of a bundle of this home; store: all of it, from peers',
      )
      .argument('[ref]', 'the bundle')
      .addHelpText(
        'after',
        '\nThe block index finds content again that is stored already: without a good one a publish stores more than it\nmust, and nothing else is wrong. Damaged bytes are another thing: repro verify <ref|dir> --repair.',
      )
  },
  async run({ args: [what, ref] }, context) {
    const { output, signal } = context
    if (what === undefined) {
      output.line('repro verify <ref> --repair   blocks of the store that are damaged, from peers')
      output.line(
        'repro verify <dir> --repair   files of a fetched folder, from the store or peers',
      )
      output.line('repro repair index <ref>      the block index of a bundle of this home')
      output.line(
        'repro repair store            the whole store, when its database is damaged, from peers',
      )
      output.record(
        resultRecord({
          repairs: [
            'verify <ref> --repair',
            'verify <dir> --repair',
            'repair index <ref>',
            'repair store',
          ],
        }),
      )
      return ExitCode.ok
    }
    if (what === 'store' && ref === undefined) {
      const done = await context.follow(repairStore(await context.settings(), { signal }), {
        live: true,
      })
      output.line(`made the store anew: ${count('bundle', done.keys.length)} from peers`, 'green')
      output.say(`  the damaged store is in ${done.aside}: remove it when all is well`)
      output.record(resultRecord({ ...done }))
      return ExitCode.ok
    }
    if (what !== 'index' || ref === undefined)
      return fail('USAGE', `"repair ${[what, ref ?? ''].join(' ').trim()}" is not understood`, {
        hints: [
          'repro repair index <ref>',
          'repro repair store',
          'repro verify <ref|dir> --repair',
        ],
      })
    const done = await repairIndex(await context.settings(), ref, { signal })
    output.line(`made the block index of ${done.key} anew: ${count('block', done.blocks)}`, 'green')
    output.record(resultRecord({ ...done }))
    return ExitCode.ok
  },
})
