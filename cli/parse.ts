import { Command, CommanderError } from 'commander'
import { fail } from '../src/core/errors.ts'
import { ExitCode as Exit, type ExitCode } from '../src/core/exit-codes.ts'
import { nearest } from '../src/core/text.ts'
import { collect } from './collect.ts'
import type { CommandSpec } from './command.ts'
import { EXIT_CODE_LINES } from './exit-code-lines.ts'
import { type GlobalFlags, globalOptions, VALUE_FLAGS } from './global-flags.ts'
import { VERBS, type Verb } from './verbs.ts'

export type Parsed =
  | { readonly kind: 'help'; readonly text: string }
  | { readonly kind: 'nothing'; readonly text: string }
  | {
      readonly kind: 'command'
      readonly verb: string
      readonly spec: CommandSpec
      readonly args: readonly string[]
      readonly flags: Record<string, unknown>
      readonly extra: readonly string[]
      readonly global: GlobalFlags
    }

/** Turns the command line into a command with its arguments, or a help text. Throws USAGE. */
export async function parseCommandLine(argv: readonly string[]): Promise<Parsed> {
  const [own, extra] = splitExtra(argv)
  const at = findVerb(own)
  const first = own[at]
  if (first === undefined) {
    if (own.includes('--help') || own.includes('-h')) return { kind: 'help', text: overview() }
    const unknown = own.find((word, i) => word.startsWith('-') && !isGlobal(own, i))
    if (unknown) fail('USAGE', `unknown option "${unknown}"`, { hints: ['repro --help'] })
    return { kind: 'nothing', text: overview() }
  }
  if (first === 'help') {
    const about = own[at + 1]
    if (about === undefined) return { kind: 'help', text: overview() }
    const verb = findCommand(about)
    return { kind: 'help', text: helpOf(verb, await verb.load()) }
  }
  const verb = findCommand(first)
  const spec = await verb.load()
  const words = [...own.slice(0, at), ...own.slice(at + 1)]
  if (words.includes('--help') || words.includes('-h'))
    return { kind: 'help', text: helpOf(verb, spec) }
  const command = commandOf(verb, spec)
  parseWith(command, verb, spec.passesExtra || extra === null ? words : [...words, '--', ...extra])
  const flags = command.opts()
  return {
    kind: 'command',
    verb: verb.name,
    spec,
    args: command.args,
    flags,
    extra: spec.passesExtra ? (extra ?? []) : [],
    global: givenGlobals(command),
  }
}

function splitExtra(argv: readonly string[]): [readonly string[], readonly string[] | null] {
  const at = argv.indexOf('--')
  return at < 0 ? [argv, null] : [argv.slice(0, at), argv.slice(at + 1)]
}

function findVerb(words: readonly string[]): number {
  for (let i = 0; i < words.length; i++) {
    if (VALUE_FLAGS.has(words[i]!)) i++
    else if (!words[i]!.startsWith('-')) return i
  }
  return words.length
}

function isGlobal(words: readonly string[], i: number): boolean {
  const name = words[i]!.split('=', 1)[0]!
  return globalOptions().some(option => option.long === name || option.short === name)
}

function findCommand(word: string): Verb {
  const verb = VERBS.find(candidate => candidate.name === word)
  if (verb) return verb
  const near = nearest(
    word,
    VERBS.map(candidate => candidate.name),
  )
  return fail('USAGE', `unknown command "${word}"`, {
    hints: [near ? `did you mean "repro ${near}"?` : 'repro --help lists the commands'],
  })
}

function commandOf(verb: Verb, spec: CommandSpec): Command {
  const command = new Command(`repro ${verb.name}`)
  command.description(verb.summary).helpOption('-h, --help', 'show this help')
  spec.configure(command)
  for (const option of globalOptions()) {
    if (option.long === '--peer') option.argParser(collect)
    command.addOption(option.helpGroup('Options of every command:'))
  }
  return command.exitOverride().configureOutput({ writeErr: () => undefined })
}

/** Only what was typed: the environment is read by the settings, which also say where a value came from. */
function givenGlobals(command: Command): GlobalFlags {
  const all = command.opts<Record<string, unknown>>()
  const given = globalOptions()
    .map(option => option.attributeName())
    .filter(name => command.getOptionValueSource(name) === 'cli')
  return Object.fromEntries(given.map(name => [name, all[name]])) as GlobalFlags
}

function parseWith(command: Command, verb: Verb, words: readonly string[]): void {
  try {
    command.parse(words, { from: 'user' })
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    const [message = '', ...more] = error.message.replace(/^error: /, '').split('\n')
    const hints = more.map(line => line.replace(/^\((.*)\)$/, '$1')).filter(line => line !== '')
    fail('USAGE', `${message.charAt(0).toLowerCase()}${message.slice(1)}`.replace(/\.$/, ''), {
      hints: [...hints, `repro ${verb.name} --help`],
    })
  }
}

function helpOf(verb: Verb, spec: CommandSpec): string {
  const codes = spec.exitCodes.map(code => `  ${String(code).padEnd(4)} ${EXIT_CODE_LINES[code]}`)
  const examples = spec.examples.map(line => `  ${line}`)
  return [
    commandOf(verb, spec).helpInformation().trimEnd(),
    '',
    'Exit codes:',
    ...codes,
    '',
    `Example${examples.length > 1 ? 's' : ''}:`,
    ...examples,
    '',
  ].join('\n')
}

function overview(): string {
  const program = new Command('repro')
  program
    .description('A peer-to-peer, versioned archive of research that still runs.')
    .usage('<command> [arguments] [options]')
    .option('-V, --version', 'show the version')
    .helpOption('-h, --help', 'show this help')
    .helpCommand(false)
  for (const verb of VERBS) program.command(verb.name).description(verb.summary)
  for (const option of globalOptions())
    program.addOption(option.helpGroup('Options of every command:'))
  program.configureHelp({ subcommandTerm: command => command.name() })
  return `${program.helpInformation().trimEnd()}\n\nrepro <command> --help shows its arguments, exit codes and an example.\n`
}

/** The exit code of a command line without a command. */
export const NOTHING_TYPED: ExitCode = Exit.usage
