import { type ChildProcess, spawn } from 'node:child_process'
import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Outcome, Person, program } from '../helpers/cli.ts'

/** Where a command is to be killed: at the n-th time it enters a phase, or some time after that. */
export interface KillPlan {
  readonly phase: string
  readonly n: number
  readonly runOnMs: number
}

export interface Killed {
  /** The phase in which the kill came; null when the command had ended before. */
  readonly phase: string | null
  readonly outcome: Outcome
}

const LOOK_MS = 2
const PATIENCE_MS = 60_000

/** Runs a command and notes how often it enters each phase. */
export async function traced(
  person: Person,
  args: readonly string[],
): Promise<{ outcome: Outcome; entries: ReadonlyMap<string, number> }> {
  const trace = join(person.folder, 'trace')
  rmSync(trace, { force: true })
  const outcome = await withEnv(person, { REPRO_TRACE_PHASES: trace }).repro(...args)
  const entries = new Map<string, number>()
  for (const phase of phasesIn(trace)) entries.set(phase, (entries.get(phase) ?? 0) + 1)
  return { outcome, entries }
}

/** Starts a command, and kills it (SIGKILL, from this process) where the plan says. */
export async function killAt(
  person: Person,
  args: readonly string[],
  { phase, n, runOnMs }: KillPlan,
): Promise<Killed> {
  const trace = join(person.folder, 'trace')
  rmSync(trace, { force: true })
  const child = start(person, args, {
    REPRO_TRACE_PHASES: trace,
    REPRO_STOP_AT: `${phase}:${n}`,
  })
  const ended = outcomeOf(child)
  let over = false
  void ended.then(() => {
    over = true
  })
  for (const began = Date.now(); !over && !isStopped(child); await sleep(LOOK_MS)) {
    if (Date.now() - began < PATIENCE_MS) continue
    child.kill('SIGKILL')
    throw new Error(`repro ${args.join(' ')} neither ended nor came to ${phase}:${n}`)
  }
  if (!over && runOnMs > 0) {
    child.kill('SIGCONT')
    await Promise.race([sleep(runOnMs), ended])
  }
  const killed = !over && child.kill('SIGKILL')
  const outcome = await ended
  const inPhase = killed && outcome.signal === 'SIGKILL'
  return { phase: inPhase ? (phasesIn(trace).at(-1) ?? null) : null, outcome }
}

/** Runs a command, stops it at `<phase>:<n>`, does `meanwhile`, lets it go on, and gives its end. */
export async function answerWhileStopped(
  person: Person,
  args: readonly string[],
  at: string,
  meanwhile: (child: ChildProcess) => void | Promise<void>,
): Promise<Outcome> {
  const child = start(person, args, { REPRO_STOP_AT: at })
  const ended = outcomeOf(child)
  try {
    for (const began = Date.now(); !isStopped(child); await sleep(LOOK_MS))
      if (child.exitCode !== null || Date.now() - began > PATIENCE_MS)
        throw new Error(`repro ${args.join(' ')} did not come to ${at}`)
    await meanwhile(child)
  } finally {
    child.kill('SIGCONT')
  }
  return await ended
}

function withEnv(person: Person, env: Record<string, string>): Person {
  return new Person(person.folder, { env })
}

function start(person: Person, args: readonly string[], env: Record<string, string>): ChildProcess {
  return spawn(process.execPath, [program, ...args], {
    cwd: person.folder,
    env: { ...person.environment, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
}

function outcomeOf(child: ChildProcess): Promise<Outcome> {
  const text = { stdout: '', stderr: '' }
  child.stdout!.setEncoding('utf8').on('data', chunk => (text.stdout += chunk))
  child.stderr!.setEncoding('utf8').on('data', chunk => (text.stderr += chunk))
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code, signal) => resolve({ code, signal, ...text }))
  })
}

function isStopped(child: ChildProcess): boolean {
  try {
    const stat = readFileSync(`/proc/${child.pid}/stat`, 'utf8')
    return stat.slice(stat.lastIndexOf(')') + 2).startsWith('T')
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ESRCH') return false
    throw error
  }
}

function phasesIn(trace: string): string[] {
  try {
    return readFileSync(trace, 'utf8')
      .split('\n')
      .filter(line => line !== '')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
}
