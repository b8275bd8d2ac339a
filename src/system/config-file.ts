import { type ConfigFile, configFile } from '../../schemas/index.ts'
import { ReproError } from '../core/errors.ts'
import {
  type Finding,
  formatFault,
  formatPath,
  type ManifestFault,
  placeFindings,
  sortFaults,
} from '../core/manifest-fault.ts'
import { readYaml } from '../core/manifest-yaml.ts'
import { schemaFindings } from '../core/schema-findings.ts'
import { allKeys } from '../core/schema-shape.ts'
import { escapeControl } from '../core/text.ts'

/** Which of the two config files this is: a home cannot say where it is itself. */
export type ConfigKind = 'home' | 'site'

export interface ParsedConfig {
  readonly config: ConfigFile
  /** `file:line` of the value at a path like `['network', 'listen']`. */
  where(path: readonly string[]): string
}

/** Parses a config file. Throws CONFIG_INVALID with every fault at its line, and the nearest known key. */
export function parseConfigFile(text: string, file: string, kind: ConfigKind): ParsedConfig {
  const source = readYaml(text)
  const where = (path: readonly string[]) => `${file}:${source.locate(path).line}`
  const fromYaml = source.faults.map(fault => ({
    file,
    line: fault.line,
    column: fault.column,
    path: formatPath(fault.path),
    value: null,
    message: escapeControl(fault.message),
  }))
  if (fromYaml.length > 0) throw configError(file, sortFaults(fromYaml))
  const value = source.value ?? {}
  const parsed = configFile.safeParse(value)
  const findings: Finding[] = parsed.success
    ? []
    : schemaFindings(configFile, value, parsed.error.issues).map(withPlace)
  if (kind === 'home' && typeof value === 'object' && 'home' in value)
    findings.push({
      path: ['home'],
      at: 'key',
      message: 'a home cannot say where it is: set REPRO_HOME instead',
    })
  if (findings.length > 0 || !parsed.success)
    throw configError(file, placeFindings(file, source, findings))
  return { config: parsed.data, where }
}

/** A key that stands at the wrong level is told where it belongs. */
function withPlace(finding: Finding): Finding {
  const place = allKeys(configFile).find(key => key.endsWith(`.${String(finding.path.at(-1))}`))
  return finding.at === 'key' && place !== undefined && place !== formatPath(finding.path)
    ? { ...finding, nearest: place }
    : finding
}

function configError(file: string, faults: readonly ManifestFault[]): ReproError {
  return new ReproError('CONFIG_INVALID', `"${file}" is not a valid configuration`, {
    lines: faults.map(formatFault),
    hints: [
      `edit ${file}, or move it away`,
      `the keys: ${allKeys(configFile).join(', ')} (docs/configuration.md)`,
    ],
    data: { file, faults },
  })
}
