import type { WorkRecord } from '../../schemas/index.ts'
import { advancePhase, describeDone, isWork, type Phase } from './progress.ts'

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
    if (record.action === 'warning' || record.status === 'warn') return [line(record, 'warning')]
    if (record.action === 'error' || record.status === 'error') return [line(record, 'error')]
    if (record.action === 'note') return [line(record, 'note')]
    if (record.action === 'result' || record.action === 'stdout' || record.action === 'stderr')
      return []
    const key = record.action === 'progress' ? this.#concerned(record) : record.action
    if (key === null) return []
    const phase = advancePhase(this.#phases.get(key), asWork(record, key), this.#now())
    if (!phase) return record.message === undefined ? [] : [line(record, 'done')]
    this.#phases.delete(key)
    this.#phases.set(key, phase)
    const ended = record.status === 'ok' && record.subject === undefined
    if (ended) this.#phases.delete(key)
    if (record.message !== undefined && record.status !== 'start') return [line(record, 'done')]
    return ended ? this.#doneLine(phase) : []
  }

  /** The lines of what was still going on, at the end of the stream. */
  finish(): BoardLine[] {
    const lines = [...this.#phases.values()].flatMap(phase => this.#doneLine(phase))
    this.#phases.clear()
    return lines
  }

  /** `progress` names the work by its subject, or means what was touched last. */
  #concerned({ subject }: WorkRecord): string | null {
    if (subject !== undefined && isWork(subject)) return subject
    return [...this.#phases.keys()].at(-1) ?? null
  }

  #doneLine(phase: Phase): BoardLine[] {
    const text = describeDone(phase, this.#now())
    return text === null ? [] : [{ text, kind: 'done', hints: [] }]
  }
}

function asWork(record: WorkRecord, key: string): WorkRecord {
  return record.action === key ? record : { ...record, action: key as WorkRecord['action'] }
}

/** Actions whose messages may need their subject to be understood. */
const NAMED = new Set(['probe', 'compare', 'verify', 'write', 'image', 'check', 'unpack'])

function line(record: WorkRecord, kind: BoardLine['kind']): BoardLine {
  const { action, subject = '', message, hints = [] } = record
  if (message === undefined) return { text: `${action} ${subject}`.trim(), kind, hints }
  const named = subject === '' || !NAMED.has(action) || message.includes(subject)
  return { text: named ? message : `${subject}: ${message}`, kind, hints }
}
