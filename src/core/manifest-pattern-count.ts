import type { Finding } from './manifest-fault.ts'
import { type Loose, listOf, recordOf } from './manifest-parts.ts'

/** Each is compiled to be checked: together they must not take long. */
const MAX_PATTERNS = 1000

/** The patterns of all `ignore:` and `pattern:` of a manifest are counted before one of them is compiled. */
export function patternCountFindings(apps: Loose): Finding[] {
  let found = 0
  for (const app of Object.values(apps).map(recordOf)) {
    for (const output of listOf(app['outputs']).map(recordOf))
      found += typeof output['ignore'] === 'string' ? 1 : listOf(output['ignore']).length
    for (const param of Object.values(recordOf(app['params'])).map(recordOf))
      if (param['pattern'] !== undefined) found++
  }
  if (found <= MAX_PATTERNS) return []
  const message = `have ${found} patterns in ignore and pattern, at most ${MAX_PATTERNS} are allowed`
  return [{ path: ['apps'], at: 'key', message }]
}
