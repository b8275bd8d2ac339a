import { appFindings } from './manifest-app-rules.ts'
import { type Finding, shorten } from './manifest-fault.ts'
import { isRecord, listOf, recordOf, textOf } from './manifest-parts.ts'
import { fileFinding, patternFindings, twinFindings } from './manifest-path-rules.ts'
import { patternCountFindings } from './manifest-pattern-count.ts'
import { orcidFault } from './orcid.ts'
import { PathCover } from './path-cover.ts'
import { nearest } from './text.ts'

export interface RuleFindings {
  readonly faults: readonly Finding[]
  readonly warnings: readonly Finding[]
}

/**
 * What must hold between fields. Looks at the raw value and passes over parts of the wrong type,
 * so that these faults are found together with those of the schema.
 */
export function ruleFindings(raw: unknown): RuleFindings {
  const manifest = recordOf(raw)
  const images = recordOf(manifest['images'])
  const apps = recordOf(manifest['apps'])
  const faults: Finding[] = [
    ...imageFindings(images),
    ...twinFindings(['images'], Object.keys(images)),
    ...twinFindings(['apps'], Object.keys(apps)),
    ...patternFindings(['exclude'], manifest['exclude']),
    ...listOf(manifest['allowSecrets']).flatMap((path, i) =>
      fileFinding(['allowSecrets', i], path),
    ),
    ...orcidFindings(manifest['authors']),
  ]
  const warnings: Finding[] = []
  const outs = new PathCover(
    Object.values(apps).map(app => (textOf(recordOf(app)['out']) ?? 'out').replace(/\/+$/, '')),
  )
  const tooMany = patternCountFindings(apps)
  if (tooMany.length > 0) return { faults: [...faults, ...tooMany], warnings }
  for (const [name, app] of Object.entries(apps)) {
    if (!isRecord(app)) continue
    const found = appFindings(['apps', name], app, Object.keys(images), outs)
    faults.push(...found.faults)
    warnings.push(...found.warnings)
  }
  const used = new Set(Object.values(apps).map(app => recordOf(app)['image']))
  for (const name of Object.keys(images))
    if (!used.has(name) && Object.keys(apps).length > 0)
      warnings.push({ path: ['images', name], at: 'key', message: 'is the image of no app' })
  return { faults, warnings }
}

const IMAGE_KEYS = ['source', 'host', 'recipe']

function imageFindings(images: Readonly<Record<string, unknown>>): Finding[] {
  return Object.entries(images).flatMap(([name, image]): Finding[] => {
    if (!isRecord(image)) return []
    const path = ['images', name]
    const ways = ['source', 'host'].filter(way => way in image)
    if (ways.length === 2)
      return [
        { path, at: 'key', message: 'has both source and host: an image has exactly one of them' },
      ]
    if (ways.length === 0) {
      const message =
        'build' in image
          ? 'repro builds no images yet: build it with your own tool, and give the file by source'
          : 'has neither source nor host: an image has exactly one of them'
      const unknown = Object.keys(image).filter(key => !IMAGE_KEYS.includes(key) && key !== 'build')
      return [
        { path, at: 'key', message },
        ...unknown.map(
          (key): Finding => ({
            path: [...path, key],
            at: 'key',
            message: `unknown key "${shorten(key)}"`,
            nearest: nearest(key, IMAGE_KEYS),
          }),
        ),
      ]
    }
    const programs = listOf(image['host']).map(textOf)
    return programs.flatMap((program, i): Finding[] =>
      program !== undefined && !/^[A-Za-z0-9._+/@-]+$/.test(program)
        ? [
            {
              path: [...path, 'host', i],
              value: program,
              message: 'is no name or path of a program',
            },
          ]
        : [],
    )
  })
}

function orcidFindings(authors: unknown): Finding[] {
  return listOf(authors).flatMap((author, i): Finding[] => {
    const orcid = textOf(recordOf(author)['orcid'])
    const fault = orcid === undefined ? null : orcidFault(orcid)
    // A wrong form is the schema's to say.
    if (fault === null || fault.startsWith('expected')) return []
    return [{ path: ['authors', i, 'orcid'], value: orcid, message: fault }]
  })
}
