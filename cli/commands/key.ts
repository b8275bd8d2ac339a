import { fail } from '../../src/core/errors.ts'
import { ExitCode } from '../../src/core/exit-codes.ts'
import { exportKey, importKey } from '../../src/daemon/operations/key.ts'
import { askPassphrase, readPassphrase } from '../ask.ts'
import { type CommandContext, defineCommand } from '../command.ts'
import { resultRecord } from '../render/result.ts'

interface Flags {
  readonly passphrase?: boolean
  readonly passphraseFile?: string
}

export const key = defineCommand<Flags>({
  exitCodes: [0, 1, 2, 4, 130],
  examples: [
    'repro key export lambda-phage lambda-phage.key --passphrase',
    'repro key import lambda-phage.key',
  ],
  configure(command) {
    command
      .usage('export <ref> <file> | import <file> [options]')
      .argument('<action>', 'export: save the key of a bundle of this home; import: restore one')
      .argument('<words...>', 'the bundle and a new file to write, or the file to read')
      .option('--passphrase', 'seal the file with a passphrase, asked for at the terminal')
      .option('--passphrase-file <file>', 'take it from the first line of a file, like /dev/fd/3')
      .addHelpText(
        'after',
        '\nThe file is the right to publish. A restored key first fetches the history of its bundle from peers; two homes\nthat write under one key make a fork, which makes the key worthless. A store must never be copied to write from both.',
      )
  },
  async run({ args: [action, ...words], flags }, context) {
    if (action === 'export' && words.length === 2)
      return await exportTo(words[0]!, words[1]!, flags, context)
    if (action === 'import' && words.length === 1)
      return await importFrom(words[0]!, flags, context)
    return fail('USAGE', `"key ${[action, ...words].join(' ')}" is not understood`, {
      hints: ['repro key export <ref> <file>', 'repro key import <file>'],
    })
  },
})

async function exportTo(ref: string, file: string, flags: Flags, context: CommandContext) {
  const { output, signal } = context
  const passphrase = await newPassphrase(flags, signal)
  const done = await exportKey(await context.settings(), ref, file, passphrase)
  output.line(`saved the key of ${done.key} to ${file}`, 'green')
  output.say(
    done.sealed
      ? '  sealed: without the passphrase it is of no use'
      : '  not sealed: whoever has this file can publish under the key',
  )
  output.record(resultRecord({ ...done }))
  return ExitCode.ok
}

async function newPassphrase(flags: Flags, signal: AbortSignal): Promise<string | null> {
  if (flags.passphraseFile !== undefined) return await readPassphrase(flags.passphraseFile)
  if (!flags.passphrase) return null
  const typed = await askPassphrase('passphrase: ', signal)
  if ((await askPassphrase('again: ', signal)) === typed) return typed
  return fail('USAGE', 'the two passphrases differ: nothing was written')
}

async function importFrom(file: string, flags: Flags, context: CommandContext) {
  const { output, signal } = context
  const passphrase = async () =>
    flags.passphraseFile === undefined
      ? await askPassphrase('passphrase: ', signal)
      : await readPassphrase(flags.passphraseFile)
  const done = await importKey(await context.settings(), file, passphrase)
  if (done.imported) {
    output.line(`imported the key of ${done.key}`, 'green')
    output.say(
      '  before it writes for the first time, repro publish fetches the whole history from peers',
    )
    output.say('  publish from one home alone: two histories under one key make it worthless')
    output.say(`next: repro get ${done.key} <dir>`)
  } else output.line(`this home can write to ${done.key} already: nothing was changed`)
  output.record(resultRecord({ ...done }))
  return ExitCode.ok
}
