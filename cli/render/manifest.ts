import type { Manifest, ParamSpec, ResolvedApp } from '../../schemas/index.ts'
import type { ReleaseIdentity } from '../../src/core/release-source.ts'
import { count, formatBytes, formatDuration } from '../../src/core/text.ts'
import type { Output } from './output.ts'

/** Prints what a release declares, for people. */
export function printManifest(
  { identity, manifest }: { readonly identity: ReleaseIdentity; readonly manifest: Manifest },
  output: Output,
): void {
  output.line(manifest.name, 'bold')
  if (manifest.title !== undefined) field('title', manifest.title)
  if (identity.key !== null) field('key', identity.key)
  if (identity.release !== null)
    field('release', `${identity.release}${identity.tag === null ? '' : ` (${identity.tag})`}`)
  if (identity.date !== null) field('date', identity.date)
  field('content hash', identity.contentHash)
  field('size', `${count('file', manifest.index.files)}, ${formatBytes(manifest.index.bytes)}`)
  if (manifest.authors.length > 0) field('authors', manifest.authors.map(a => a.name).join(', '))
  const license = Object.entries(manifest.license ?? {}).map(([part, name]) => `${part} ${name}`)
  if (license.length > 0) field('licence', license.join(', '))
  if (manifest.keywords.length > 0) field('keywords', manifest.keywords.join(', '))
  if (manifest.cites.length > 0) field('cites', manifest.cites.join(', '))
  if (manifest.description !== undefined) {
    output.line()
    output.block(manifest.description)
  }
  for (const [name, image] of Object.entries(manifest.images)) {
    const bytes = image.layers.reduce((sum, layer) => sum + layer.size, 0)
    output.line()
    output.line(`image ${name}`, 'bold')
    field('digest', image.digest)
    field('for', `${image.os}/${image.architecture}, ${formatBytes(bytes)}`)
    field('from', image.origin.programs?.join(', ') ?? image.origin.path ?? image.origin.kind)
  }
  for (const [name, app] of Object.entries(manifest.apps)) {
    output.line()
    output.line(`app ${name}${app.summary === undefined ? '' : `: ${app.summary}`}`, 'bold')
    printApp(app)
  }

  function field(name: string, value: string): void {
    output.line(`  ${name.padEnd(13)} ${value}`)
  }

  function printApp(app: ResolvedApp): void {
    field('image', app.image ?? 'none: runs on the host')
    field('command', app.command.join(' '))
    for (const [name, param] of Object.entries(app.params))
      field('parameter', `${name}: ${describeParam(param)}`)
    for (const one of app.outputs) field('output', `${one.path} (${one.compare})`)
    const needs = describeResources(app.resources)
    if (needs !== '') field('needs', needs)
    if (app.network !== 'none') field('network', app.network)
  }
}

function describeParam(param: ParamSpec): string {
  const parts: string[] = [param.type]
  if (param.type === 'enum') parts.push(`one of ${param.values.join(', ')}`)
  if ('min' in param && param.min !== undefined) parts.push(`at least ${param.min}`)
  if ('max' in param && param.max !== undefined) parts.push(`at most ${param.max}`)
  if (param.default !== undefined) parts.push(`default ${param.default}`)
  if (param.summary !== undefined) parts.push(param.summary)
  return parts.join(', ')
}

function describeResources(resources: ResolvedApp['resources']): string {
  return [
    resources.cpus === undefined ? null : `${resources.cpus} CPUs`,
    resources.memoryBytes === undefined ? null : formatBytes(resources.memoryBytes),
    resources.timeMs === undefined ? null : `at most ${formatDuration(resources.timeMs)}`,
    resources.diskBytes === undefined ? null : `${formatBytes(resources.diskBytes)} of disk`,
    resources.gpu === undefined ? null : `${resources.gpu.count} GPU`,
    resources.arch === undefined ? null : resources.arch.join(' or '),
    resources.kernel === undefined ? null : `kernel ${resources.kernel} or newer`,
  ]
    .filter(part => part !== null)
    .join(', ')
}
