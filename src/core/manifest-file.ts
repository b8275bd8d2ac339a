import { type AuthorManifest, authorManifest } from '../../schemas/index.ts'
import { fail } from './errors.ts'
import {
  type Finding,
  formatPath,
  type ManifestFault,
  manifestError,
  placeFindings,
  sortFaults,
} from './manifest-fault.ts'
import { isRecord } from './manifest-parts.ts'
import { ruleFindings } from './manifest-rules.ts'
import { type Path, type Position, readYaml } from './manifest-yaml.ts'
import { schemaFindings } from './schema-findings.ts'
import { escapeControl, formatBytes } from './text.ts'

export type { ManifestFault } from './manifest-fault.ts'

/** No manifest is larger: what is, is refused before it is read. */
export const MAX_MANIFEST_BYTES = 1 << 20

export interface ManifestFile {
  readonly manifest: AuthorManifest
  /** Where the value at a path like `['apps', 'default', 'image']` stands, or its key. */
  locate(path: Path, part?: 'value' | 'key'): Position
  /** What is allowed and probably not meant. */
  readonly warnings: readonly ManifestFault[]
}

/**
 * Parses `repro.yaml`. Throws MANIFEST_INVALID with every fault at once, each with its line and column:
 * in `data.faults`, and as lines `file:line:column: …` of the message.
 */
export function parseManifestFile(text: string, fileName: string): ManifestFile {
  assertManifestSize(Buffer.byteLength(text), fileName)
  const source = readYaml(text)
  const fromYaml = source.faults.map(
    (fault): ManifestFault => ({
      file: fileName,
      line: fault.line,
      column: fault.column,
      path: formatPath(fault.path),
      value: null,
      message: escapeControl(fault.message),
    }),
  )
  if (source.value === undefined && fromYaml.length > 0) throw manifestError(fileName, fromYaml)
  const stranger = notOurs(source.value)
  if (stranger) throw manifestError(fileName, placeFindings(fileName, source, [stranger]))
  const parsed = authorManifest.safeParse(source.value)
  const rules = ruleFindings(source.value)
  const fromSchema = parsed.success
    ? []
    : schemaFindings(authorManifest, source.value, parsed.error.issues)
  const findings = [...withoutEchoes(fromSchema, rules.faults), ...rules.faults].filter(
    finding => !source.faults.some(fault => follows(finding, fault.path)),
  )
  const faults = sortFaults([...fromYaml, ...placeFindings(fileName, source, findings)])
  if (faults.length > 0 || !parsed.success) throw manifestError(fileName, faults)
  return {
    manifest: parsed.data,
    locate: source.locate,
    warnings: placeFindings(fileName, source, rules.warnings),
  }
}

/** Throws MANIFEST_INVALID for a manifest of more than 1 MiB; to be asked before it is read. */
export function assertManifestSize(bytes: number, fileName: string): void {
  if (bytes <= MAX_MANIFEST_BYTES) return
  fail(
    'MANIFEST_INVALID',
    `"${fileName}" has ${formatBytes(bytes)}, and a manifest has at most ${formatBytes(MAX_MANIFEST_BYTES)}`,
    {
      hints: ['keep data in files of its own and name them in the manifest'],
      data: { bytes, limit: MAX_MANIFEST_BYTES },
    },
  )
}

/** `repro.yaml` is a file of other programs too (PyPI's claims-cli): ours is known by `repro: 1`. */
function notOurs(value: unknown): Finding | null {
  if (!isRecord(value)) {
    const message = 'is no mapping: a manifest begins with "repro: 1"; `repro init` writes one'
    return { path: [], message: value === null ? `is empty: ${message.slice(15)}` : message }
  }
  if (!('repro' in value)) {
    const known = Object.keys(authorManifest.shape)
    const familiar = Object.keys(value).filter(key => known.includes(key)).length
    if (familiar * 2 > Object.keys(value).length) return null
    return {
      path: [],
      message:
        'has no "repro: 1", so this is the repro.yaml of another program (claims-cli has one), or that line is missing',
    }
  }
  const version = value['repro']
  if (typeof version === 'number' && Number.isInteger(version) && version > 1)
    return {
      path: ['repro'],
      value: version,
      message: `this manifest is of version ${version}, and this repro reads version 1: install a newer repro`,
    }
  return null
}

/** Where a rule speaks of an image as a whole, what the schema says of its alternatives adds nothing. */
function withoutEchoes(fromSchema: readonly Finding[], rules: readonly Finding[]): Finding[] {
  const spoken = rules.filter(({ path, at }) => path[0] === 'images' && at === 'key')
  const whole = new Set(spoken.map(({ path }) => path[1]))
  return fromSchema.filter(
    ({ path }) => path[0] !== 'images' || path.length === 1 || !whole.has(path[1]!),
  )
}

/** Whether a finding only follows from a fault of the text: at or below it, or missing beside it. */
function follows({ path, message }: Finding, fault: Path): boolean {
  const below = (top: Path) => top.every((part, i) => path[i] === part)
  if (fault.length === 0) return false
  return below(fault) || (message.startsWith('is missing') && below(fault.slice(0, -1)))
}
