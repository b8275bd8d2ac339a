import { constants } from 'node:fs'
import { access, realpath, stat } from 'node:fs/promises'
import { basename, resolve } from 'node:path'
import type { ParamSpec, ResolvedApp } from '../../schemas/index.ts'
import { fail } from '../core/errors.ts'
import { nearest } from '../core/text.ts'
import { describeParam, type ParamValue, parseParam } from './param-values.ts'

/** A file or folder of the reader's own, given as a parameter. */
interface OwnData {
  readonly param: string
  /** Absolute, links resolved. */
  readonly host: string
  /** Where the app sees it in an image. */
  readonly inside: string
}

export interface ResolvedParams {
  /** Every parameter that has a value: given or default. Own data stands as its place inside. */
  readonly values: Readonly<Record<string, ParamValue>>
  readonly data: readonly OwnData[]
  /** True when a value is not the default: expectations hold for defaults. */
  readonly changed: boolean
}

/** Where own data appears inside of an image. */
const DATA = '/repro/data'

/**
 * Reads `--set name=value` settings for an app. Needs nothing of the release but its manifest, so it comes before any fetch.
 * Throws PARAM_INVALID with every fault at once.
 */
export async function resolveParams(
  app: Pick<ResolvedApp, 'params'>,
  settings: readonly string[],
  cwd: string,
): Promise<ResolvedParams> {
  const faults: string[] = []
  const concerned = new Set<string>()
  const given = readSettings(app, settings, faults)
  const values: Record<string, ParamValue> = {}
  const data: OwnData[] = []
  let changed = false
  for (const [name, spec] of sortedParams(app)) {
    const text = given.get(name)
    if (text === undefined) {
      if (spec.default !== undefined) values[name] = spec.default
      else if (spec.required) {
        faults.push(`the parameter "${name}" is required`)
        concerned.add(name)
      }
      continue
    }
    const parsed =
      spec.type === 'file' || spec.type === 'folder'
        ? await resolveData(name, spec.type, text, cwd)
        : await parseParam(spec, text)
    if ('fault' in parsed) {
      faults.push(`"${text}" for the parameter "${name}" ${parsed.fault}`)
      concerned.add(name)
      continue
    }
    if ('data' in parsed) data.push(parsed.data)
    values[name] = 'data' in parsed ? parsed.data.inside : parsed.value
    changed ||= values[name] !== spec.default
  }
  faults.push(...positionGaps(app, values))
  if (faults.length > 0) {
    const described = sortedParams(app).filter(([name]) => concerned.has(name))
    fail('PARAM_INVALID', faults[0]!, {
      lines: faults.slice(1),
      hints: described.map(([name, spec]) => describeParam(name, spec)),
      data: { faults },
    })
  }
  return { values, data, changed }
}

/** The parameters in the one order that every form of the manifest gives: by name. */
function sortedParams(app: Pick<ResolvedApp, 'params'>): [string, ParamSpec][] {
  return Object.entries(app.params).sort(([a], [b]) => (a < b ? -1 : 1))
}

function readSettings(
  app: Pick<ResolvedApp, 'params'>,
  settings: readonly string[],
  faults: string[],
): Map<string, string> {
  const given = new Map<string, string>()
  const names = Object.keys(app.params)
  for (const setting of settings) {
    const at = setting.indexOf('=')
    const name = at < 0 ? setting : setting.slice(0, at)
    if (!Object.hasOwn(app.params, name)) {
      const near = nearest(name, names)
      const known = names.length > 0 ? `known: ${names.sort().join(', ')}` : 'the app takes none'
      faults.push(
        `there is no parameter "${name}"${near ? `: did you mean "${near}"?` : ''} (${known})`,
      )
    } else if (at < 0) faults.push(`"${setting}" has no "=": write ${name}=value`)
    else if (given.has(name)) faults.push(`the parameter "${name}" is set twice`)
    else given.set(name, setting.slice(at + 1))
  }
  return given
}

function positionGaps(
  app: Pick<ResolvedApp, 'params'>,
  values: Readonly<Record<string, ParamValue>>,
): string[] {
  const positions = sortedParams(app)
    .filter(([, spec]) => spec.positional !== undefined)
    .sort(([, a], [, b]) => a.positional! - b.positional!)
  const last = positions.findLastIndex(([name]) => values[name] !== undefined)
  return positions
    .slice(0, last + 1)
    .filter(([name]) => values[name] === undefined)
    .map(
      ([name]) =>
        `the parameter "${name}" has no value, but "${positions[last]![0]}" stands after it in the command line`,
    )
}

async function resolveData(
  param: string,
  type: 'file' | 'folder',
  text: string,
  cwd: string,
): Promise<{ data: OwnData } | { fault: string }> {
  if (text === '' || text.includes('\0')) return { fault: `is no path of a ${type}` }
  try {
    const host = await realpath(resolve(cwd, text))
    const stats = await stat(host)
    if (type === 'file' && !stats.isFile()) return { fault: 'is no file' }
    if (type === 'folder' && !stats.isDirectory()) return { fault: 'is no folder' }
    await access(host, type === 'file' ? constants.R_OK : constants.R_OK | constants.X_OK)
    const name = basename(host).replace(/[^A-Za-z0-9._-]/g, '_') || 'data'
    return { data: { param, host, inside: `${DATA}/${param}/${name}` } }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'EACCES') return { fault: 'cannot be read: permission denied' }
    return { fault: code === 'ENOENT' || code === 'ENOTDIR' ? 'does not exist' : 'cannot be read' }
  }
}

/**
 * The resolved command line and the environment that parameters set: the app's command, then flags by name,
 * then positional values, then the reader's extra arguments. With `onHost` own data is named by its place on the host.
 */
export function commandOf(
  app: ResolvedApp,
  params: ResolvedParams,
  extraArgs: readonly string[],
  onHost: boolean,
): { readonly command: readonly string[]; readonly env: Readonly<Record<string, string>> } {
  const flags: string[] = []
  const positional: { at: number; text: string }[] = []
  const env: Record<string, string> = {}
  for (const [name, spec] of sortedParams(app)) {
    const value = params.values[name]
    if (value === undefined) continue
    const own = onHost ? params.data.find(data => data.param === name) : undefined
    const text = own ? own.host : String(value)
    if (spec.flag !== undefined) flags.push(...flagArgs(spec.flag, spec.type, value, text))
    if (spec.positional !== undefined) positional.push({ at: spec.positional, text })
    if (spec.env !== undefined) env[spec.env] = text
  }
  positional.sort((a, b) => a.at - b.at)
  return {
    command: [...app.command, ...flags, ...positional.map(p => p.text), ...extraArgs],
    env,
  }
}

/** `--flag value`, `--flag=value`; a bool is `--flag` or nothing, with `flag=` it is `--flag=true`. */
function flagArgs(flag: string, type: string, value: ParamValue, text: string): string[] {
  if (flag.endsWith('=')) return [`${flag}${text}`]
  if (type === 'bool') return value === true ? [flag] : []
  return [flag, text]
}
