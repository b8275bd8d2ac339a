import type { WorkRecord } from '../../schemas/index.ts'
import { count, escapeControl, formatBytes, formatDuration } from '../../src/core/text.ts'

/** What is known of one kind of work while it goes on. Plain lines and the live view are drawn from it. */
export interface Phase {
  readonly action: WorkRecord['action']
  readonly startedMs: number
  readonly touchedMs: number
  readonly subject?: string
  readonly bytes?: number
  readonly totalBytes?: number
  readonly files?: number
  readonly totalFiles?: number
  readonly peers?: number
  /** Bytes a second, smoothed over about three seconds. */
  readonly rate?: number
}

const WORDS: Partial<Record<WorkRecord['action'], readonly [doing: string, done: string]>> = {
  hash: ['hashing', 'hashed'],
  image: ['preparing images', 'prepared images'],
  store: ['storing', 'stored'],
  index: ['indexing', 'indexed'],
  release: ['writing the release', 'wrote the release'],
  connect: ['looking for peers', 'connected'],
  fetch: ['fetching', 'fetched'],
  verify: ['verifying', 'verified'],
  write: ['writing', 'wrote'],
  unpack: ['unpacking', 'unpacked'],
  probe: ['trying runtimes', 'tried runtimes'],
  stage: ['preparing the inputs', 'prepared the inputs'],
  execute: ['running', 'ran'],
  compare: ['comparing outputs', 'compared outputs'],
  check: ['checking', 'checked'],
  share: ['sharing', 'shared'],
}

/** True for actions that last and are drawn while they go on. */
export const isWork = (action: string) => action in WORDS

const SMOOTHING_MS = 3000

/** The phase after `record`; null when the record is about no lasting work. */
export function advancePhase(
  before: Phase | undefined,
  record: WorkRecord,
  nowMs: number,
): Phase | null {
  if (!before && !(record.action in WORDS)) return null
  const measured =
    record.bytes !== undefined || record.files !== undefined || record.totalBytes !== undefined
  if (!before && !measured && record.status !== 'start') return null
  const start: Phase = before ?? { action: record.action, startedMs: nowMs, touchedMs: nowMs }
  const rate = rateAfter(start, record, nowMs)
  const given = Object.fromEntries(
    (['subject', 'bytes', 'totalBytes', 'files', 'totalFiles', 'peers'] as const)
      .filter(name => record[name] !== undefined)
      .map(name => [name, record[name]]),
  )
  return {
    ...start,
    ...given,
    touchedMs: record.bytes === undefined ? start.touchedMs : nowMs,
    ...(rate === undefined ? {} : { rate }),
  }
}

function rateAfter(before: Phase, record: WorkRecord, nowMs: number): number | undefined {
  if (record.bytes === undefined || before.bytes === undefined) return before.rate
  const elapsed = nowMs - before.touchedMs
  if (elapsed <= 0) return before.rate
  const current = Math.max(0, ((record.bytes - before.bytes) * 1000) / elapsed)
  if (before.rate === undefined) return current
  const weight = 1 - Math.exp(-elapsed / SMOOTHING_MS)
  return before.rate + weight * (current - before.rate)
}

/** Milliseconds until all bytes are there, when that can be told. */
function timeLeftMs(phase: Phase): number | undefined {
  if (phase.totalBytes === undefined || phase.bytes === undefined || !phase.rate) return undefined
  return ((phase.totalBytes - phase.bytes) * 1000) / phase.rate
}

/** `fetching 1.2 MB of 4.0 MB, 3 of 12 files, 2 peers, 410.0 kB/s, 7.0 s left` */
export function describePhase(phase: Phase): string {
  const left = timeLeftMs(phase)
  const figures = [
    ofTotal(formatBytes, phase.bytes, phase.totalBytes),
    countOf(phase),
    phase.peers === undefined ? null : count('peer', phase.peers),
    phase.rate ? `${formatBytes(Math.round(phase.rate))}/s` : null,
    left === undefined || left < 1000 ? null : `${formatDuration(left)} left`,
  ].filter(part => part !== null)
  const doing = WORDS[phase.action]?.[0] ?? phase.action
  const subject = phase.subject === undefined ? '' : ` ${shorten(escapeControl(phase.subject))}`
  return figures.length > 0 ? `${doing} ${figures.join(', ')}` : `${doing}${subject}`
}

/** Of these the figures count what the phase before did as well, whose time this one does not know. */
const UNTIMED: ReadonlySet<string> = new Set(['store'])

/** `fetched 4.0 MB, 12 files in 9.1 s`, `stored 4.0 MB, 12 files`; null when nothing was measured. */
export function describeDone(phase: Phase, nowMs: number): string | null {
  const figures = [
    phase.bytes === undefined ? null : formatBytes(phase.bytes),
    phase.files === undefined ? null : count('file', phase.files),
  ].filter(part => part !== null)
  if (figures.length === 0) return null
  const done = WORDS[phase.action]?.[1] ?? phase.action
  const time = UNTIMED.has(phase.action) ? '' : ` in ${formatDuration(nowMs - phase.startedMs)}`
  return `${done} ${figures.join(', ')}${time}`
}

/** `fetching stopped at 1.2 MB of 4.0 MB, 3 of 12 files`; null when nothing was measured. */
export function describeStopped(phase: Phase): string | null {
  const figures = [ofTotal(formatBytes, phase.bytes, phase.totalBytes), countOf(phase)].filter(
    part => part !== null,
  )
  if (figures.length === 0 || (phase.bytes ?? phase.files) === undefined) return null
  return `${WORDS[phase.action]?.[0] ?? phase.action} stopped at ${figures.join(', ')}`
}

/** How much is done, 0 to 1, when that can be told. */
export function fractionOf(phase: Phase): number | undefined {
  const [done, total] =
    phase.totalBytes === undefined
      ? [phase.files, phase.totalFiles]
      : [phase.bytes, phase.totalBytes]
  if (done === undefined || !total) return undefined
  return Math.min(1, Math.max(0, done / total))
}

function ofTotal(format: (n: number) => string, done?: number, total?: number): string | null {
  if (done === undefined) return total === undefined ? null : format(total)
  return total === undefined ? format(done) : `${format(done)} of ${format(total)}`
}

function countOf(phase: Phase): string | null {
  if (phase.files === undefined) return null
  return phase.totalFiles === undefined
    ? count('file', phase.files)
    : `${phase.files.toLocaleString('en-US')} of ${count('file', phase.totalFiles)}`
}

function shorten(text: string): string {
  return text.length <= 60 ? text : `…${text.slice(-59)}`
}
