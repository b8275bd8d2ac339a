import { pathFault } from './archive-path.ts'
import { compileLinePattern, linePatternFault } from './line-pattern.ts'
import type { Finding } from './manifest-fault.ts'
import { isRecord, type Loose, listOf, numberOf, textOf } from './manifest-parts.ts'
import { nearest } from './text.ts'

type Path = readonly (string | number)[]

/** The rules of an app's parameters: defaults that hold, one way into the command each, no place taken twice. */
export function paramFindings(
  path: Path,
  params: Loose,
): { faults: Finding[]; warnings: Finding[] } {
  const faults: Finding[] = []
  const warnings: Finding[] = []
  const taken = new Map<string, string>()
  for (const [name, param] of Object.entries(params)) {
    if (!isRecord(param)) continue
    const here = [...path, name]
    const ways = ['flag', 'positional', 'env'].filter(way => param[way] !== undefined)
    if (ways.length !== 1) {
      const message =
        ways.length === 0
          ? 'does not say how it reaches the command: give one of flag, positional, env'
          : `has ${ways.join(' and ')}: give exactly one of flag, positional, env`
      faults.push({ path: here, at: 'key', message })
    }
    for (const way of ways) {
      const slot = `${way} ${String(param[way]).replace(/=$/, '')}`
      const first = taken.get(slot)
      if (first !== undefined)
        faults.push({
          path: [...here, way],
          value: param[way],
          message: `is the ${way} of the parameter "${first}" already`,
        })
      taken.set(slot, first ?? name)
    }
    if (param['required'] === true && param['default'] !== undefined)
      warnings.push({
        path: [...here, 'required'],
        message: 'has a default, so it is never missing',
      })
    faults.push(...valueFindings(here, param))
  }
  return { faults, warnings }
}

function valueFindings(here: Path, param: Loose): Finding[] {
  switch (param['type']) {
    case 'int':
    case 'float':
      return numberFindings(here, param)
    case 'string':
      return stringFindings(here, param)
    case 'enum': {
      const values = listOf(param['values'])
      const words = values.flatMap(value => textOf(value) ?? [])
      const twice = values.flatMap((value, i): Finding[] =>
        values.indexOf(value) < i
          ? [{ path: [...here, 'values', i], value, message: 'is there twice' }]
          : [],
      )
      const chosen = textOf(param['default'])
      if (chosen === undefined || words.includes(chosen) || words.length === 0) return twice
      const message = `is none of the values ${words.map(w => `"${w}"`).join(', ')}`
      const near = nearest(chosen, words)
      return [...twice, { path: [...here, 'default'], value: chosen, message, nearest: near }]
    }
    case 'file':
    case 'folder': {
      const path = textOf(param['default'])
      const fault = path === undefined ? null : pathFault(path)
      return fault === null
        ? []
        : [{ path: [...here, 'default'], value: path, message: `this path of the bundle ${fault}` }]
    }
    default:
      return []
  }
}

function numberFindings(here: Path, param: Loose): Finding[] {
  const [min, max, value] = [param['min'], param['max'], param['default']].map(numberOf)
  if (min !== undefined && max !== undefined && min > max)
    return [{ path: [...here, 'min'], value: min, message: `is above max, ${max}` }]
  if (value !== undefined && min !== undefined && value < min)
    return [{ path: [...here, 'default'], value, message: `is below min, ${min}` }]
  if (value !== undefined && max !== undefined && value > max)
    return [{ path: [...here, 'default'], value, message: `is above max, ${max}` }]
  return []
}

function stringFindings(here: Path, param: Loose): Finding[] {
  const pattern = textOf(param['pattern'])
  const value = textOf(param['default'])
  const maxLength = numberOf(param['maxLength'])
  if (pattern !== undefined && pattern.length <= 1000) {
    const fault = linePatternFault(pattern)
    if (fault !== null) {
      const message = `is no pattern in RE2 syntax (no look-around, no back references): ${fault}`
      return [{ path: [...here, 'pattern'], value: pattern, message }]
    }
    if (value !== undefined && !compileLinePattern(pattern).matches(value))
      return [{ path: [...here, 'default'], value, message: 'does not match the pattern' }]
  }
  if (value !== undefined && maxLength !== undefined && value.length > maxLength) {
    const message = `is longer than maxLength, ${maxLength}`
    return [{ path: [...here, 'default'], value, message }]
  }
  return []
}
