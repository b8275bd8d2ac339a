import { type Manifest, manifest as manifestSchema } from '../../schemas/index.ts'
import { fail } from './errors.ts'
import { appFindings } from './manifest-app-rules.ts'
import { describeValue, type Finding, formatPath } from './manifest-fault.ts'
import { patternFindings, twinFindings } from './manifest-path-rules.ts'
import { patternCountFindings } from './manifest-pattern-count.ts'
import { PathCover } from './path-cover.ts'
import { escapeControl } from './text.ts'

/**
 * What is wrong between the fields of a published manifest: the rules that authors' manifests obey, applied once more,
 * for a stranger may have written it with any tool. Empty for one that may be used.
 */
export function manifestFaults(manifest: Manifest): readonly Finding[] {
  const { images, apps } = manifest
  const tooMany = patternCountFindings(apps)
  if (tooMany.length > 0) return tooMany
  const outs = new PathCover(Object.values(apps).map(({ out }) => out))
  const names = Object.keys(images)
  return [
    ...twinFindings(['images'], names),
    ...twinFindings(['apps'], Object.keys(apps)),
    ...Object.entries(apps).flatMap(([name, app]) => {
      const { inputs, outputs, ...rest } = app
      const alike = outputs.map(output =>
        'expect' in output ? { ...output, expect: output.expect?.path } : output,
      )
      const path = ['apps', name]
      const asWritten = { ...rest, inputs: inputs.include, outputs: alike }
      return [
        ...appFindings(path, asWritten, names, outs).faults,
        ...patternFindings([...path, 'inputs', 'exclude'], inputs.exclude),
        ...(app.out.endsWith('/')
          ? [{ path: [...path, 'out'], value: app.out, message: 'ends with a slash' }]
          : []),
      ]
    }),
  ]
}

/** The manifest that `value` is, by schema and rules. Throws RECORD_INVALID that names the first fault and `what` has it. */
export function checkedManifest(value: unknown, what: string): Manifest {
  const parsed = manifestSchema.safeParse(value)
  if (!parsed.success) {
    const issue = parsed.error.issues[0]
    const where = formatPath((issue?.path ?? []) as (string | number)[]) || 'it'
    fail('RECORD_INVALID', `${what} is invalid: ${escapeControl(`${where}: ${issue?.message}`)}`, {
      hints: HINTS,
      cause: parsed.error,
    })
  }
  assertManifest(parsed.data, what)
  return parsed.data
}

/** Throws RECORD_INVALID unless the fields of `manifest` obey the rules between them. */
export function assertManifest(manifest: Manifest, what: string): void {
  const fault = manifestFaults(manifest)[0]
  if (fault === undefined) return
  const value = fault.value === undefined ? '' : ` (${describeValue(fault.value)})`
  const text = `${formatPath(fault.path)}: ${fault.message}${value}`
  fail('RECORD_INVALID', `${what} is invalid: ${escapeControl(text)}`, { hints: HINTS })
}

const HINTS = ['nothing of it was used: whoever wrote it used no honest tool, or another version']
