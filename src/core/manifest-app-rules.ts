import type { z } from 'zod'
import { durationText, sizeText } from '../../schemas/index.ts'
import { isReserved, pathFault, twinKey } from './archive-path.ts'
import { isDigest } from './digest.ts'
import { linePatternFault } from './line-pattern.ts'
import type { Finding } from './manifest-fault.ts'
import { paramFindings } from './manifest-param-rules.ts'
import { isRecord, type Loose, listOf, recordOf, textOf } from './manifest-parts.ts'
import { fileFinding, patternFindings, unknownImage } from './manifest-path-rules.ts'
import type { PathCover } from './path-cover.ts'
import { durationMs, sizeBytes } from './quantity.ts'

type Path = readonly (string | number)[]
interface Found {
  readonly faults: Finding[]
  readonly warnings: Finding[]
}

/** The rules of one app. `outs` covers the output folders of all apps: they are never published. */
export function appFindings(
  path: Path,
  app: Loose,
  images: readonly string[],
  outs: PathCover,
): Found {
  const image = textOf(app['image'])
  const faults: Finding[] = []
  const warnings: Finding[] = []
  if (image !== undefined && !images.includes(image))
    faults.push(unknownImage([...path, 'image'], image, images))
  faults.push(...outFindings([...path, 'out'], app['out']))
  faults.push(...inputFindings([...path, 'inputs'], app['inputs'], outs))
  faults.push(...resourceFindings([...path, 'resources'], recordOf(app['resources'])))
  const params = paramFindings([...path, 'params'], recordOf(app['params']))
  const outputs = outputFindings([...path, 'outputs'], app)
  faults.push(...params.faults, ...outputs.faults)
  warnings.push(...params.warnings, ...outputs.warnings)
  if (image === undefined && app['image'] === undefined)
    warnings.push({
      path,
      at: 'key',
      message: 'has no image: it runs on a host alone, and only by name',
    })
  return { faults, warnings }
}

/** Runtimes take the output folder within lists and options of their own: nothing that separates in any of them. */
const OUT = /^[\p{L}\p{M}\p{N}._+/-]+$/u

function outFindings(path: Path, value: unknown): Finding[] {
  const out = textOf(value)
  if (out === undefined) return []
  const fault =
    pathFault(out.replace(/\/$/, '')) ??
    (isReserved(out) ? 'is in .repro, which belongs to repro' : null)
  if (fault !== null) return [{ path, value: out, message: `this path ${fault}` }]
  if (!OUT.test(out)) {
    const message = 'the name of an output folder has only letters, digits, ".", "_", "-", "+"'
    return [{ path, value: out, message }]
  }
  const first = twinKey(out.split('/', 1)[0]!)
  if (first === 'expected')
    return [{ path, value: out, message: 'overlaps expected/, where expected outputs lie' }]
  if (first === 'repro.yaml')
    return [{ path, value: out, message: 'is the manifest itself: name a folder' }]
  return []
}

function inputFindings(path: Path, value: unknown, outs: PathCover): Finding[] {
  const inside = listOf(value).flatMap((pattern, i): Finding[] => {
    const text = textOf(pattern)?.replace(/^\.?\//, '')
    const out = text === undefined ? null : outs.over(text.replace(/\/+$/, ''))
    if (text === undefined || out === null) return []
    const message = `lies in the output folder "${out}", which is never published`
    return [{ path: [...path, i], value: text, message }]
  })
  return [...patternFindings(path, value), ...inside]
}

function resourceFindings(path: Path, resources: Loose): Finding[] {
  // The schema speaks for itself where the form is wrong; here it is the figure.
  const check = (key: string, form: z.ZodType, read: (v: string | number) => number | null) => {
    const value = resources[key]
    if (typeof value !== 'string' && typeof value !== 'number') return []
    if (!form.safeParse(value).success || read(value) !== null) return []
    return [{ path: [...path, key], value, message: 'is too large to be counted' }]
  }
  return [
    ...check('memory', sizeText, sizeBytes),
    ...check('disk', sizeText, sizeBytes),
    ...check('time', durationText, durationMs),
  ]
}

function outputFindings(path: Path, app: Loose): Found {
  const faults: Finding[] = []
  const warnings: Finding[] = []
  const seen = new Map<string, string>()
  const out = (textOf(app['out']) ?? 'out').replace(/\/$/, '')
  for (const [i, output] of listOf(app['outputs']).entries()) {
    if (!isRecord(output)) continue
    const here = [...path, i]
    const file = textOf(output['path'])
    if (file !== undefined && file !== '') {
      faults.push(...fileFinding([...here, 'path'], file))
      const twin = seen.get(twinKey(file))
      if (twin !== undefined)
        faults.push({
          path: [...here, 'path'],
          value: file,
          message: `is the same file as "${twin}"`,
        })
      seen.set(twinKey(file), file)
      if (file.startsWith(`${out}/`))
        warnings.push({
          path: [...here, 'path'],
          message: `output paths start in "${out}" already: this one means "${out}/${file}"`,
        })
    }
    faults.push(...expectFindings([...here, 'expect'], output, out))
    const { ignore } = output
    const patterns = typeof ignore === 'string' ? [ignore] : listOf(ignore)
    for (const [k, pattern] of patterns.entries()) {
      if (typeof pattern !== 'string' || pattern.length > 1000) continue
      const fault = linePatternFault(pattern)
      if (fault === null) continue
      const at = typeof ignore === 'string' ? [...here, 'ignore'] : [...here, 'ignore', k]
      const message = `is no pattern in RE2 syntax (no look-around, no back references): ${fault}`
      faults.push({ path: at, value: pattern, message })
    }
  }
  return { faults, warnings }
}

function expectFindings(path: Path, output: Loose, out: string): Finding[] {
  const expect = textOf(output['expect'])
  if (expect === undefined || expect === '') return []
  if (output['compare'] === 'exists')
    return [{ path, at: 'key', message: 'compare: exists looks at no content: take expect out' }]
  if (/^(blake3|sha256):/.test(expect)) {
    const good = isDigest(expect) && expect.startsWith('blake3:')
    return good
      ? []
      : [{ path, value: expect, message: 'expected blake3: and 64 hex digits, or a path' }]
  }
  if (expect === out || expect.startsWith(`${out}/`)) {
    const message = `lies in the output folder "${out}", which is never published`
    return [{ path, value: expect, message }]
  }
  return fileFinding(path, expect)
}
