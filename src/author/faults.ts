import { type ErrorCode, ReproError } from '../core/errors.ts'
import { count, escapeControl } from '../core/text.ts'

/** Something to say about an author's folder, and where. */
export interface AuthorRemark {
  /** One sentence that names the thing. */
  readonly message: string
  readonly hints: readonly string[]
  /** The file concerned, relative to the folder. */
  readonly file?: string
  readonly line?: number
  readonly column?: number
}

/** One reason why a folder cannot be published. */
export interface AuthorFault extends AuthorRemark {
  readonly code: ErrorCode
}

const MAX_SHOWN = 100

/** `data/a.txt:3:1: …`, as editors and people find places. */
export function formatRemark(fault: AuthorRemark): string {
  const place = [fault.file, fault.line, fault.column].filter(part => part !== undefined).join(':')
  return escapeControl(place === '' ? fault.message : `${place}: ${fault.message}`)
}

/** Throws one error for all of them, with the code of the first; passes when there are none. */
export function throwFaults(faults: readonly AuthorFault[]): void {
  const [first] = faults
  if (!first) return
  const hints = [...new Set(faults.flatMap(fault => fault.hints))].slice(0, 8)
  const shown = faults.slice(0, MAX_SHOWN)
  const lines = shown.map(formatRemark)
  if (faults.length > shown.length) lines.push(`… and ${faults.length - shown.length} more`)
  const data = { faults: shown }
  if (faults.length === 1) throw new ReproError(first.code, lines[0]!, { hints, data })
  const message = `${count('thing', faults.length)} cannot be published`
  throw new ReproError(first.code, message, { lines, hints, data })
}

/** The faults that an error of this room stands for; anything else is thrown on. */
export function faultsOf(error: unknown): AuthorFault[] {
  if (!(error instanceof ReproError) || error.code === 'INTERRUPTED' || error.code === 'INTERNAL')
    throw error
  const inside = error.data['faults']
  if (!Array.isArray(inside) || inside.length === 0)
    return [{ code: error.code, message: error.message, hints: error.hints }]
  return inside.map((fault: Omit<AuthorFault, 'code' | 'hints'> & Partial<AuthorFault>) => ({
    code: error.code,
    hints: error.hints,
    ...fault,
    message: faultText(fault as unknown as Record<string, unknown>),
  }))
}

/** Faults of a manifest carry their path and the nearest key apart from the message. */
function faultText(fault: Readonly<Record<string, unknown>>): string {
  const path = typeof fault['path'] === 'string' && fault['path'] !== '' ? `${fault['path']}: ` : ''
  const nearest =
    typeof fault['nearest'] === 'string' ? `: did you mean "${fault['nearest']}"?` : ''
  return `${path}${String(fault['message'])}${nearest}`
}
