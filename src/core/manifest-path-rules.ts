import { isReserved, pathFault, twinKey } from './archive-path.ts'
import type { Finding } from './manifest-fault.ts'
import { listOf, textOf } from './manifest-parts.ts'
import { nearest } from './text.ts'

/** Names that differ only in case or Unicode form would be one file on many disks. */
export function twinFindings(
  path: readonly (string | number)[],
  names: readonly string[],
): Finding[] {
  const seen = new Map<string, string>()
  return names.flatMap((name): Finding[] => {
    const first = seen.get(twinKey(name))
    seen.set(twinKey(name), first ?? name)
    if (first === undefined || first === name) return []
    const message = `differs from "${first}" only in upper and lower case or Unicode form`
    return [{ path: [...path, name], at: 'key', message }]
  })
}

/** Patterns of paths: relative, within the bundle, without what no path may hold. */
export function patternFindings(path: readonly (string | number)[], value: unknown): Finding[] {
  return listOf(value).flatMap((pattern, i): Finding[] => {
    const text = textOf(pattern)
    if (text === undefined) return []
    const fault = patternFault(text)
    return fault === null ? [] : [{ path: [...path, i], value: text, message: fault }]
  })
}

function patternFault(text: string): string | null {
  const bare = text.replace(/^\.\//, '').replace(/^\//, '').replace(/\/+$/, '')
  if (bare === '' || bare === '.') return null
  if (bare.startsWith('!')) return 'patterns cannot begin with "!": list what is wanted'
  if (/[[\]{}]/.test(bare))
    return 'patterns know only *, ? and **; "[", "]", "{" and "}" have no meaning here'
  const fault = pathFault(bare)
  return fault === null ? null : `this pattern ${fault}`
}

export function fileFinding(path: readonly (string | number)[], value: unknown): Finding[] {
  const text = textOf(value)
  if (text === undefined) return []
  const fault =
    pathFault(text) ?? (isReserved(text) ? 'is in .repro, which belongs to repro' : null)
  return fault === null ? [] : [{ path, value: text, message: `this path ${fault}` }]
}

/** Named so that a wrong image is told with the nearest right one. */
export function unknownImage(
  path: readonly (string | number)[],
  image: string,
  images: readonly string[],
): Finding {
  const list = images.length === 0 ? 'there are none' : `there are ${images.join(', ')}`
  return {
    path,
    value: image,
    message: `no image is called "${image}" (${list})`,
    nearest: nearest(image, images),
  }
}
