import { ExitCode } from '../../src/core/exit-codes.ts'
import { parseReference } from '../../src/core/reference.ts'
import { count, formatBytes } from '../../src/core/text.ts'
import { verify as rehash } from '../../src/daemon/operations/verify.ts'
import { defineCommand } from '../command.ts'

export const verify = defineCommand({
  exitCodes: [0, 1, 2, 3, 4, 5, 130],
  examples: ['repro verify ./analysis', 'repro verify <key>@2'],
  configure(command) {
    command.argument('<ref|dir>', 'a stored release, or a folder that was fetched or published')
  },
  async run({ args }, context) {
    const { output, signal } = context
    const work = rehash(await context.settings(), args[0]!, { signal })
    const result = await context.follow(work, { resultSaysAll: true })
    const { identity, files, bytes, missing, changed, extra, partial } = result
    for (const path of missing) output.line(`missing  ${path}`, 'red')
    for (const path of changed) output.line(`changed  ${path}`, 'red')
    for (const path of extra) output.line(`extra    ${path}`, 'yellow')
    const faults = missing.length + changed.length + extra.length
    // A store may hold a part of a release on purpose: what was never fetched is no damage.
    const unfetched = parseReference(args[0]!).kind !== 'folder' && partial && faults > 0
    const sound = `${count('file', files)}, ${formatBytes(bytes)}`
    output.line(
      faults === 0
        ? `verified ${sound}${partial ? ', a part of the release' : ''}`
        : unfetched
          ? `held in part, and what is held is sound: ${sound}; ${count('file', missing.length)} missing`
          : `${missing.length} missing, ${changed.length} changed, ${extra.length} extra`,
      faults === 0 ? 'green' : unfetched ? 'yellow' : 'red',
    )
    output.line(`  content hash  ${identity.contentHash}`)
    if (faults > 0 && identity.key !== null)
      output.say(
        `next: repro get ${identity.key}@${identity.release} <dir>${unfetched ? '' : ' --force'}`,
      )
    output.record({ action: 'result', status: faults === 0 ? 'ok' : 'error', data: { ...result } })
    if (faults === 0) return ExitCode.ok
    return unfetched ? ExitCode.partial : ExitCode.verification
  },
})
