import type { WorkRecord } from '../../schemas/index.ts'
import { escapeControl } from '../../src/core/text.ts'
import {
  advancePhase,
  describeDone,
  describeStopped,
  fractionOf,
  isWork,
  type Phase,
} from './progress.ts'

export interface BoardLine {
  readonly text: string
  readonly kind: 'done' | 'note' | 'warning' | 'error'
  readonly hints: readonly string[]
}

/** The state a view draws: work that goes on, and the lines of what is finished. Told one record at a time. */
export class Board {
  readonly #phases = new Map<string, Phase>()
  readonly #now: () => number

  constructor(now: () => number = Date.now) {
    this.#now = now
  }

  /** Work that goes on, oldest first. */
  get phases(): readonly Phase[] {
    return [...this.#phases.values()]
  }

  /** Takes one record; gives the lines that are finished by it. */
  take(record: WorkRecord): BoardLine[] {
    if (UNSAID.has(record.action)) return []
    if (record.action === 'note') return [line(record, 'note')]
    if (record.action === 'warning' || record.status === 'warn') return [line(record, 'warning')]
    if (record.action === 'fetch' || (record.peers ?? 0) > 0) this.#endSearch()
    const phase = this.#advance(record)
    const ended = ENDS.has(record.status ?? '') ? this.#end(record) : null
    const failed = record.action === 'error' || record.status === 'error'
    if (record.action === 'progress' || record.status === 'start') return []
    if (record.message !== undefined) return [line(record, failed ? 'error' : 'done')]
    return ended && phase && record.status === 'ok' ? this.#doneLine(phase, false) : []
  }

  /** The lines of what was still going on, at the end of the stream; `failed`: it came to no end. */
  finish(failed = false): BoardLine[] {
    const lines = [...this.#phases.values()].flatMap(phase =>
      this.#doneLine(phase, failed || (fractionOf(phase) ?? 1) < 1),
    )
    this.#phases.clear()
    return lines
  }

  /** The phase that the record is about, after it. */
  #advance(record: WorkRecord): Phase | null {
    const key = record.action === 'progress' ? this.#concerned(record) : this.#keyOf(record)
    if (key === null) return null
    if (!this.#phases.has(key) && ENDS.has(record.status ?? '')) return null
    const action = key.slice(0, key.indexOf(' ')) as WorkRecord['action']
    const { subject: _, ...rest } = record
    const about = record.action === 'progress' ? { ...rest, action } : record
    const phase = advancePhase(this.#phases.get(key), about, this.#now())
    if (phase) {
      this.#phases.delete(key)
      this.#phases.set(key, phase)
    }
    return phase
  }

  /** A peer was found: what looked for it is over. */
  #endSearch(): void {
    for (const key of [...this.#phases.keys()])
      if (key.startsWith('connect ')) this.#phases.delete(key)
  }

  #end(record: WorkRecord): boolean {
    return this.#phases.delete(`${record.action} ${record.subject ?? ''}`)
  }

  /** Work begins with its own subject; records of single things in it count to the whole. */
  #keyOf({ action, subject, status }: WorkRecord): string {
    const own = `${action} ${subject ?? ''}`
    const whole = `${action} `
    return status === 'start' || this.#phases.has(own) || !this.#phases.has(whole) ? own : whole
  }

  /** `progress` names the work by its action or its subject, or means what was touched last. */
  #concerned({ subject }: WorkRecord): string | null {
    const keys = [...this.#phases.keys()].reverse()
    if (subject !== undefined) {
      const own = keys.find(key => key.slice(key.indexOf(' ') + 1) === subject)
      const named = own ?? keys.find(key => key.startsWith(`${subject} `))
      if (named !== undefined) return named
      if (isWork(subject)) return `${subject} `
    }
    return keys[0] ?? null
  }

  #doneLine(phase: Phase, stopped: boolean): BoardLine[] {
    const text = stopped ? describeStopped(phase) : describeDone(phase, this.#now())
    return text === null ? [] : [{ text, kind: stopped ? 'note' : 'done', hints: [] }]
  }
}

/** Shown elsewhere: by the command itself, or as the app's own output. */
const UNSAID = new Set(['result', 'stdout', 'stderr', 'entry', 'compare'])
const ENDS = new Set(['ok', 'unchanged', 'skipped', 'error'])

/** Actions whose messages may need their subject to be understood. */
const NAMED = new Set(['probe', 'verify', 'write', 'image', 'check', 'unpack'])

function line(record: WorkRecord, kind: BoardLine['kind']): BoardLine {
  const { action, message, hints = [] } = record
  const subject = escapeControl(record.subject ?? '')
  if (message === undefined) return { text: `${action} ${subject}`.trim(), kind, hints }
  const named = subject === '' || !NAMED.has(action) || message.includes(subject)
  return { text: named ? message : `${subject}: ${message}`, kind, hints }
}
