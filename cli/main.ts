import process from 'node:process'
import { setFlagsFromString } from 'node:v8'
import type { WorkRecord } from '../schemas/index.ts'
import { asReproError } from '../src/core/errors.ts'
import { ExitCode } from '../src/core/exit-codes.ts'
import type { Settings } from '../src/core/settings.ts'
import type { CommandContext, FollowOptions } from './command.ts'
import type { GlobalFlags } from './global-flags.ts'
import { Interrupt } from './interrupt.ts'
import { NOTHING_TYPED, parseCommandLine } from './parse.ts'
import { chooseView } from './render/choose-view.ts'
import { renderError } from './render/errors.ts'
import { Output } from './render/output.ts'

/**
 * How much a function must run before V8 optimizes it, 15 times the usual: most commands are over before that pays, and
 * the compiler took a quarter of the processor time of a publish of many small files. What runs long is optimized still.
 */
const INTERRUPT_BUDGET = '--interrupt-budget=1000000'

/** Runs one command line and gives the exit code; everything it opened is closed. Never throws. */
export async function main(argv: readonly string[], version: string): Promise<number> {
  setFlagsFromString(INTERRUPT_BUDGET)
  const output = new Output(process.stdout, process.stderr, modeOf(argv), wantsColors())
  const interrupt = new Interrupt(line => output.say(line))
  let onlyShows = false
  try {
    const parsed = await parseCommandLine(argv)
    if (parsed.kind !== 'command') {
      const stream = parsed.kind === 'help' ? process.stdout : process.stderr
      stream.write(parsed.text)
      return parsed.kind === 'help' ? ExitCode.ok : NOTHING_TYPED
    }
    onlyShows = parsed.spec.onlyShows === true
    const work: WorkState = { done: false }
    const context = contextOf(output, interrupt.signal, parsed.global, version, work)
    const { args, extra } = parsed
    const code = await parsed.spec.run({ args, extra, flags: parsed.flags as never }, context)
    if (!interrupt.signal.aborted) return code
    if (!interrupt.readerGone) return ExitCode.interrupted
    // What was done to its end stays done, and keeps its verdict, whoever reads of it.
    return onlyShows ? ExitCode.ok : work.done ? code : ExitCode.interrupted
  } catch (error) {
    if (interrupt.readerGone && onlyShows) return ExitCode.ok
    const stopped = interrupt.signal.aborted && !isVerdict(error)
    const shown = asReproError(stopped ? interrupt.signal.reason : error)
    renderError(shown, output)
    return shown.exitCode
  }
}

/** Whether the work of a command came to its end before anything asked it to stop. */
interface WorkState {
  done: boolean
}

function contextOf(
  output: Output,
  signal: AbortSignal,
  global: GlobalFlags,
  version: string,
  state: WorkState,
): CommandContext {
  let settings: Promise<Settings> | undefined
  return {
    output,
    signal,
    version,
    settings: () => {
      settings ??= readSettings(global)
      return settings
    },
    follow: async (work, how) => {
      const result = await follow(work, output, how)
      state.done = !signal.aborted
      return result
    },
  }
}

async function readSettings(global: GlobalFlags): Promise<Settings> {
  const { loadSettings } = await import('../src/system/config.ts')
  return await loadSettings(global)
}

async function follow<T>(
  work: AsyncGenerator<WorkRecord, T>,
  output: Output,
  { live = false, resultSaysAll = false, onEntry }: FollowOptions = {},
): Promise<T> {
  const view = chooseView(output, live)
  const shown = resultSaysAll && !output.mode.json ? withoutWords : (record: WorkRecord) => record
  let failed = true
  try {
    for (;;) {
      const step = await work.next()
      if (step.done) {
        failed = false
        return step.value
      }
      if (step.value.action === 'entry' && !output.mode.json) onEntry?.(step.value)
      else await view.take(shown(step.value))
    }
  } finally {
    await work.return(undefined as T)
    await view.close(failed)
  }
}

/** The record as progress alone; warnings and notes stay as they are. */
function withoutWords(record: WorkRecord): WorkRecord {
  if (record.action === 'warning' || record.action === 'note') return record
  const { message: _, hints: __, status, ...rest } = record
  if (status === undefined || status === 'warn') return rest
  // Work that is done ends without a line of its own.
  return { ...rest, status: status === 'ok' ? 'skipped' : status }
}

/** Known before the command line is parsed, so that its faults are rendered as asked for. */
function modeOf(argv: readonly string[]): { json: boolean; quiet: boolean } {
  const end = argv.indexOf('--')
  const own = end < 0 ? argv : argv.slice(0, end)
  return {
    json: own.includes('--json'),
    quiet: own.includes('--quiet') || own.includes('-q'),
  }
}

function wantsColors(): boolean {
  return !process.env['NO_COLOR'] && process.env['TERM'] !== 'dumb'
}

/** A fault of the content is worth more than the news that work was stopped. */
function isVerdict(error: unknown): boolean {
  return asReproError(error).exitCode === ExitCode.verification
}
