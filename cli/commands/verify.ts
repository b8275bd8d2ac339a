import { ExitCode } from '../../src/core/exit-codes.ts'
import { parseReference } from '../../src/core/reference.ts'
import { count, formatBytes } from '../../src/core/text.ts'
import type { Repair } from '../../src/daemon/operations/repair.ts'
import { verify as rehash, type VerifyResult } from '../../src/daemon/operations/verify.ts'
import { defineCommand } from '../command.ts'
import type { Output } from '../render/output.ts'

interface Flags {
  readonly repair?: boolean
  readonly whole?: boolean
}

export const verify = defineCommand<Flags>({
  exitCodes: [0, 1, 2, 3, 4, 5, 130],
  examples: ['repro verify ./analysis', 'repro verify <key>@2', 'repro verify <key> --repair'],
  configure(command) {
    command
      .argument('<ref|dir>', 'a stored release, or a folder that was fetched or published')
      .option('--repair', 'get anew just what is damaged: from peers, a folder from the store too')
      .option('--whole', 'end with 3 when only a part of the release is here by choice')
      .addHelpText(
        'after',
        '\nWith --repair: 0 when all is right in the end, 3 when something could be repaired and something not, 5 when\nnothing could. What a person changed in a folder is told and left alone.',
      )
  },
  async run({ args, flags }, context) {
    const { output, signal } = context
    const settings = await context.settings()
    const target = args[0]!
    let repairs: readonly Repair[] = []
    let result: VerifyResult
    if (flags.repair) {
      // Only a repair opens the store of a folder's release, and loads what that takes.
      const { repair } = await import('../../src/daemon/operations/repair.ts')
      const done = await context.follow(repair(settings, target, { signal }), {
        resultSaysAll: true,
      })
      repairs = done.repairs
      result = done.after
    } else {
      const work = rehash(settings, target, { signal })
      result = await context.follow(work, { resultSaysAll: true })
    }
    for (const one of repairs) printRepair(one, output)
    const faults = result.missing.length + result.changed.length + result.extra.length
    const unfetched = isUnfetched(target, result, faults)
    printResult(result, unfetched, output)
    const failed = repairs.filter(one => !one.repaired).length
    const right = failed === 0 && (faults === 0 || (unfetched && repairs.length > 0))
    const tooLittle = flags.whole === true && result.partial
    if (faults > 0 && !right) printNext(result, { target, unfetched, tried: flags.repair }, output)
    const data = { ...result, ...(flags.repair ? { repairs } : {}) }
    output.record({ action: 'result', status: right && !tooLittle ? 'ok' : 'error', data })
    if (right) return tooLittle ? ExitCode.partial : ExitCode.ok
    const some = repairs.some(one => one.repaired)
    return some || (unfetched && failed === 0) ? ExitCode.partial : ExitCode.verification
  },
})

/** A store may hold a part of a release on purpose: what was never fetched is no damage. */
function isUnfetched(target: string, { partial }: VerifyResult, faults: number): boolean {
  return parseReference(target).kind !== 'folder' && partial && faults > 0
}

function printRepair({ what, blocks, repaired, message }: Repair, output: Output): void {
  const size = blocks > 0 ? `  (${count('block', blocks)})` : ''
  if (repaired) output.line(`repaired  ${what}${size}`, 'green')
  else output.line(`not repaired  ${what}${size}: ${message}`, 'red')
}

function printResult(result: VerifyResult, unfetched: boolean, output: Output): void {
  const { identity, files, releaseFiles, bytes, missing, changed, extra, partial } = result
  for (const path of missing) output.line(`missing  ${path}`, 'red')
  for (const path of changed) output.line(`changed  ${path}`, 'red')
  for (const path of extra) output.line(`extra    ${path}`, 'yellow')
  const faults = missing.length + changed.length + extra.length
  const some = faults === 0 && partial
  const sound = `${count('file', some ? releaseFiles : files)}, ${formatBytes(bytes)}`
  output.line(
    faults === 0
      ? `verified ${partial ? `${files} of ${sound}: the others are not here by choice` : sound}`
      : unfetched
        ? `held in part, and what is held is sound: ${sound}; ${count('file', missing.length)} missing`
        : `${missing.length} missing, ${changed.length} changed, ${extra.length} extra`,
    faults === 0 ? 'green' : unfetched ? 'yellow' : 'red',
  )
  output.line(`  content hash  ${identity.contentHash}`)
}

interface Tried {
  readonly target: string
  readonly unfetched: boolean
  readonly tried: boolean | undefined
}

function printNext(
  { identity }: VerifyResult,
  { target, unfetched, tried }: Tried,
  output: Output,
): void {
  if (identity.key === null) return
  const folder = parseReference(target).kind === 'folder'
  const ref = `${identity.key}@${identity.release}`
  output.say(`next: repro get ${ref} ${folder ? target : '<dir>'}${unfetched ? '' : ' --force'}`)
  if (unfetched) return
  if (!tried)
    output.say(`  or get anew just what the disk damaged: repro verify ${target} --repair`)
  if (folder) return
  output.say(
    '  or, if the files were published in place and only moved: repro publish <their folder> --in-place',
  )
  if (tried)
    output.say('  or, where the folder that was published is here: repro publish <dir> --rehash')
}
