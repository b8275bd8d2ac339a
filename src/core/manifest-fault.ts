import { ReproError } from './errors.ts'
import type { Path, Position, YamlSource } from './manifest-yaml.ts'
import { escapeControl } from './text.ts'

/** One thing wrong in a manifest, and where. */
export interface ManifestFault extends Position {
  readonly file: string
  /** `apps.default.params.threads`; empty for the whole file. */
  readonly path: string
  /** The offending value: escaped, shortened. */
  readonly value: string | null
  readonly message: string
  /** The valid key or value nearest to what was written. */
  readonly nearest?: string
}

/** A finding before its position is known. `at` says whether the key or the value is at fault. */
export interface Finding {
  readonly path: Path
  readonly message: string
  readonly at?: 'key' | 'value'
  readonly value?: unknown
  readonly nearest?: string | undefined
}

const MAX_SHOWN = 60
const MAX_FAULTS = 100

/** `apps.default.outputs[0].path` */
export function formatPath(path: Path): string {
  return path
    .map((part, i) =>
      typeof part === 'number'
        ? `[${part}]`
        : `${i === 0 ? '' : '.'}${/^[\w-]+$/.test(part) ? part : JSON.stringify(part)}`,
    )
    .join('')
}

/** A value as a message shows it: what it is, escaped, at most 60 characters. */
export function describeValue(value: unknown): string {
  if (value === undefined || value === null) return 'nothing'
  if (Array.isArray(value)) return `a list of ${value.length}`
  if (typeof value === 'object') return 'a mapping'
  if (typeof value === 'string') return `the text "${shorten(value)}"`
  return `${typeof value === 'number' ? 'the number ' : ''}${String(value)}`
}

export function shorten(text: string): string {
  const cut = text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}…` : text
  return escapeControl(cut.toWellFormed())
}

/** Puts findings at their places, in the order of the file; the same finding is listed once. */
export function placeFindings(
  file: string,
  source: YamlSource,
  findings: readonly Finding[],
): ManifestFault[] {
  const faults = findings.map(finding => ({
    file,
    ...source.locate(finding.path, finding.at ?? 'value'),
    path: formatPath(finding.path),
    value: finding.value === undefined ? null : describeValue(finding.value),
    message: escapeControl(finding.message),
    ...(finding.nearest === undefined ? {} : { nearest: finding.nearest }),
  }))
  return sortFaults(faults)
}

export function sortFaults(faults: readonly ManifestFault[]): ManifestFault[] {
  const unique = new Map(faults.map(f => [`${f.line}:${f.column}:${f.message}`, f]))
  return [...unique.values()].sort((a, b) => a.line - b.line || a.column - b.column)
}

/** `repro.yaml:12:5: apps.default: unknown key "comand": did you mean "command"?` */
export function formatFault(fault: ManifestFault): string {
  const where = fault.path === '' ? '' : `${fault.path}: `
  const nearest = fault.nearest === undefined ? '' : `: did you mean "${fault.nearest}"?`
  return `${escapeControl(fault.file)}:${fault.line}:${fault.column}: ${where}${fault.message}${nearest}`
}

/** MANIFEST_INVALID with every fault at once, in `data.faults` and a line each in the message. */
export function manifestError(file: string, faults: readonly ManifestFault[]): ReproError {
  const shown = faults.slice(0, MAX_FAULTS)
  const more = faults.length > MAX_FAULTS ? [`… and ${faults.length - MAX_FAULTS} more`] : []
  return new ReproError('MANIFEST_INVALID', `"${file}" is not a valid manifest`, {
    lines: [...shown.map(formatFault), ...more],
    hints: ['docs/manifest.md explains every field, with examples'],
    data: { faults: shown },
  })
}
