import { fail } from '../../src/core/errors.ts'
import { ExitCode } from '../../src/core/exit-codes.ts'
import { pin as change, listPins } from '../../src/daemon/operations/pin.ts'
import { defineCommand } from '../command.ts'
import { resultRecord } from '../render/result.ts'

export const pin = defineCommand({
  onlyShows: true,
  exitCodes: [0, 1, 2, 4],
  examples: ['repro pin add <key>@v1', 'repro pin rm <key>@v1', 'repro pin ls'],
  configure(command) {
    command
      .usage('add|rm <ref> | ls [options]')
      .argument('<action>', 'add or rm a pin, or ls')
      .argument('[ref]', 'a release of this home; the newest that is here when none is named')
  },
  async run({ args: [action, ref] }, context) {
    const { output } = context
    const settings = await context.settings()
    if (action === 'ls' && ref === undefined) {
      const { pins } = await listPins(settings)
      for (const one of pins) {
        output.line(`${one.key}@${one.release}${one.name === null ? '' : `  ${one.name}`}`)
        output.record({ action: 'entry', subject: one.key, data: { ...one } })
      }
      if (pins.length === 0) output.say('no release is pinned: repro pin add <ref>')
      output.record(resultRecord({ pins: pins.length }))
      return ExitCode.ok
    }
    if ((action !== 'add' && action !== 'rm') || ref === undefined)
      return fail('USAGE', `"pin ${[action, ref ?? ''].join(' ').trim()}" is not understood`, {
        hints: ['repro pin add <ref>', 'repro pin rm <ref>', 'repro pin ls'],
      })
    const done = await context.follow(change(settings, ref, action))
    const { key, release, changed } = done
    output.line(
      action === 'rm'
        ? `release ${release} of ${key} is not pinned any more`
        : `release ${release} of ${key} ${changed ? 'is pinned: prune keeps it' : 'is pinned already'}`,
      'green',
    )
    output.record(resultRecord({ ...done }))
    return ExitCode.ok
  },
})
