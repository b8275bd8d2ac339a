import {
  type AuthorApp,
  type AuthorManifest,
  type Expectation,
  FORMAT,
  type IndexEntry,
  type IndexRoot,
  type Manifest,
  type ResolvedApp,
  type ResolvedImage,
  type ResolvedOutput,
  type ResolvedResources,
} from '../../schemas/index.ts'
import { type Finding, manifestError, placeFindings } from '../core/manifest-fault.ts'
import { checkedManifest } from '../core/manifest-faults.ts'
import type { ManifestFile } from '../core/manifest-file.ts'
import { parseDuration, parseSize } from '../core/quantity.ts'
import { nearest } from '../core/text.ts'
import { MANIFEST_NAME } from './read-manifest.ts'

/** The output folder of an app that names none. */
export const DEFAULT_OUT = 'out'
/** Where expectations lie that no `expect:` names: `expected/<app>/<path>`. */
export const EXPECTED_FOLDER = 'expected'

/** An app's output folder, without a slash at the end. */
function outOf(app: Pick<AuthorApp, 'out'>): string {
  return (app.out ?? DEFAULT_OUT).replace(/\/+$/, '')
}

/** Output folders of all apps: they are never published. */
export function outsOf(manifest: AuthorManifest): string[] {
  return [...new Set(Object.values(manifest.apps ?? {}).map(outOf))]
}

export interface ResolveInput {
  readonly file: ManifestFile
  readonly images: Readonly<Record<string, ResolvedImage>>
  /** The author's tree, hashed. Asked for when the manifest names a path in it: many name none. */
  readonly entries: () => readonly IndexEntry[]
  /** `expect:` may name a file that is not there yet: a first `run --record` will write it. */
  readonly lenient: boolean
}

/** The manifest as published, but for the index. */
export type UnindexedManifest = Omit<Manifest, 'index'>

/**
 * Resolves everything a manifest leaves to defaults and names by path. Pure.
 * Throws MANIFEST_INVALID for `expect:` and `default:` files that are not in the tree, all at once.
 */
export function resolveManifest(input: ResolveInput): UnindexedManifest {
  const { manifest } = input.file
  const resolver = new Resolver(input)
  const apps = Object.fromEntries(
    Object.entries(manifest.apps ?? {}).map(([name, app]) => [name, resolver.app(name, app)]),
  )
  resolver.finish()
  const { license } = manifest
  return {
    format: FORMAT,
    name: manifest.name,
    ...given('title', manifest.title),
    ...given('description', manifest.description),
    authors: manifest.authors ?? [],
    ...given('license', typeof license === 'string' ? { code: license, data: license } : license),
    keywords: manifest.keywords ?? [],
    cites: manifest.cites ?? [],
    images: input.images,
    apps,
  }
}

/** With the index, checked by the schema and the rules that readers check it by. Throws RECORD_INVALID. */
export function completeManifest(manifest: UnindexedManifest, index: IndexRoot): Manifest {
  return checkedManifest({ ...manifest, index }, 'the resolved manifest')
}

class Resolver {
  readonly #input: ResolveInput
  #paths: ReadonlyMap<string, IndexEntry> | undefined
  readonly #faults: Finding[] = []

  constructor(input: ResolveInput) {
    this.#input = input
  }

  get #byPath(): ReadonlyMap<string, IndexEntry> {
    this.#paths ??= new Map(this.#input.entries().map(entry => [entry.path, entry]))
    return this.#paths
  }

  app(name: string, app: AuthorApp): ResolvedApp {
    const outs = outsOf(this.#input.file.manifest)
    for (const [param, spec] of Object.entries(app.params ?? {})) {
      if ((spec.type !== 'file' && spec.type !== 'folder') || spec.default === undefined) continue
      if (!this.#there(spec.default))
        this.#missing(['apps', name, 'params', param, 'default'], spec.default)
    }
    return {
      ...given('summary', app.summary),
      image: app.image ?? null,
      command: app.command,
      params: app.params ?? {},
      inputs: app.inputs
        ? { include: app.inputs, exclude: [] }
        : { include: ['**'], exclude: [EXPECTED_FOLDER, ...outs] },
      out: outOf(app),
      outputs: (app.outputs ?? []).map((output, i) => this.#output(name, output, i)),
      resources: resolveResources(app.resources ?? {}),
      network: app.network ?? 'none',
      env: app.env ?? {},
      modules: app.modules ?? [],
      ...given('tier', app.tier),
      refuse: app.refuse ?? [],
    }
  }

  finish(): void {
    if (this.#faults.length === 0) return
    const { locate } = this.#input.file
    const source = { value: null, faults: [], locate }
    throw manifestError(MANIFEST_NAME, placeFindings(MANIFEST_NAME, source, this.#faults))
  }

  #output(
    app: string,
    output: NonNullable<AuthorApp['outputs']>[number],
    i: number,
  ): ResolvedOutput {
    const common = {
      path: output.path,
      ...(output.optional ? { optional: true as const } : {}),
      ...given('summary', output.summary),
    }
    if (output.compare === 'exists') return { compare: 'exists', ...common }
    const expect = given('expect', this.#expectation(app, output.path, output.expect, i))
    if (output.compare === 'exact') return { compare: 'exact', ...expect, ...common }
    const ignore = typeof output.ignore === 'string' ? [output.ignore] : (output.ignore ?? [])
    if (output.compare === 'text') return { compare: 'text', ignore, ...expect, ...common }
    return {
      compare: 'table',
      rtol: output.rtol ?? 0,
      atol: output.atol ?? 0,
      ...given('delimiter', output.delimiter),
      ignore,
      ...expect,
      ...common,
    }
  }

  #expectation(app: string, path: string, expect: string | undefined, i: number) {
    if (expect?.startsWith('blake3:')) return { blake3: expect.slice('blake3:'.length) }
    const file = expect ?? `${EXPECTED_FOLDER}/${app}/${path}`
    const entry = this.#byPath.get(file)
    if (entry?.type === 'file')
      return { blake3: entry.blake3, path: file, size: entry.size } satisfies Expectation
    if (expect !== undefined && !this.#input.lenient)
      this.#missing(['apps', app, 'outputs', i, 'expect'], expect)
    return undefined
  }

  #there(path: string): boolean {
    const bare = path.replace(/\/+$/, '')
    return this.#byPath.has(bare) || this.#input.entries().some(e => e.path.startsWith(`${bare}/`))
  }

  #missing(path: (string | number)[], file: string): void {
    const names = this.#input
      .entries()
      .slice(0, 10_000)
      .map(entry => entry.path)
    this.#faults.push({
      path,
      value: file,
      message: 'names a file that is not in the bundle',
      nearest: nearest(file, names),
    })
  }
}

function resolveResources(resources: NonNullable<AuthorApp['resources']>): ResolvedResources {
  const { cpus, memory, time, disk, gpu, mpi, arch, kernel } = resources
  const gpus = typeof gpu === 'number' ? { count: gpu } : gpu
  return {
    ...given('cpus', cpus),
    ...given('memoryBytes', memory === undefined ? undefined : parseSize(memory)),
    ...given('timeMs', time === undefined ? undefined : parseDuration(time)),
    ...given('diskBytes', disk === undefined ? undefined : parseSize(disk)),
    ...given(
      'gpu',
      gpus === undefined || gpus.count === 0
        ? undefined
        : {
            count: gpus.count,
            ...('vendor' in gpus ? given('vendor', gpus.vendor) : {}),
            ...('memory' in gpus && gpus.memory !== undefined
              ? { memoryBytes: parseSize(gpus.memory) }
              : {}),
          },
    ),
    ...given('mpi', mpi && { ranks: mpi.ranks, launcher: mpi.launcher ?? 'host' }),
    ...given('arch', arch),
    ...given('kernel', kernel),
  }
}

/** `{key: value}`, or nothing when there is no value. */
function given<K extends string, V>(
  key: K,
  value: V | undefined,
): { [P in K]: V } | Record<string, never> {
  return value === undefined ? {} : ({ [key]: value } as { [P in K]: V })
}
