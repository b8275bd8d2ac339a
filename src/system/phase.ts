import { openSync, writeSync } from 'node:fs'
import process from 'node:process'

/**
 * The stretches of work between which a crash leaves different things behind: `hash` a source was hashed, `append`
 * blocks go into a core, `bee` entries go into the tree, `durable` the store is made durable, `record` the release
 * record is written, `fetch` a block came from a peer, `place` threads write files of a checkout and give them their
 * names, `rename` a finished file takes its name in a checkout without threads, `note` a folder or the home notes what was
 * done; of housekeeping `clear` blocks are given up, `compact` disk is given back, `repair` a damaged block is put right.
 */
export type Phase =
  | 'hash'
  | 'append'
  | 'bee'
  | 'durable'
  | 'record'
  | 'fetch'
  | 'place'
  | 'rename'
  | 'note'
  | 'clear'
  | 'compact'
  | 'repair'

const trace = process.env['REPRO_TRACE_PHASES']
const stopAt = process.env['REPRO_STOP_AT']
const watched = trace !== undefined || stopAt !== undefined
const entered = new Map<string, number>()
let file: number | null = null

/**
 * Says that a phase begins, for tests that kill the process there. Without the environment of such a test it does
 * nothing. `REPRO_TRACE_PHASES=<file>` appends one line for each entry, written before the work of the phase;
 * `REPRO_STOP_AT=<phase>:<n>` stops the process (SIGSTOP) at the n-th entry, counted from 1. Never throws but for a
 * trace file that cannot be written.
 */
export function enterPhase(phase: Phase): void {
  if (!watched) return
  const count = (entered.get(phase) ?? 0) + 1
  entered.set(phase, count)
  if (trace !== undefined) {
    file ??= openSync(trace, 'a')
    writeSync(file, `${phase}\n`)
  }
  if (stopAt === `${phase}:${count}`) process.kill(process.pid, 'SIGSTOP')
}
