import { createHash } from 'node:crypto'
import { type Digest, hexOf } from '../../core/digest.ts'
import { fail } from '../../core/errors.ts'
import { type Descriptor, ociConfig, ociIndex, ociManifest, parseDocument } from '../oci.ts'
import { hostArchitecture } from '../platform.ts'
import { type ImageFiles, readSmall } from './image-files.ts'
import type { OriginKind, SourceImage } from './source-image.ts'

const INDEX_TYPES = new Set([
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
])
const MAX_INDEX_DEPTH = 4

interface Candidate {
  readonly descriptor: Descriptor
  readonly names: readonly string[]
  readonly platform: string | null
}

/** Reads an OCI layout, from a folder or a tar. Throws IMAGE_INVALID, and IMAGE_SOURCE when the choice is not clear. */
export async function readOci(
  files: ImageFiles,
  kind: OriginKind,
  tag: string | null,
): Promise<SourceImage> {
  const index = await readSmall(files, 'index.json')
  if (!index) fail('IMAGE_INVALID', 'the OCI layout has no index.json')
  const all = await collect(files, index, [], 0)
  const tagged = tag === null ? all : all.filter(({ names }) => names.some(n => isTag(n, tag)))
  if (tagged.length === 0) noSuchTag(all, tag)
  const { candidate, chosen } = await choose(files, tagged)
  const manifestBytes = await readBlob(files, candidate.descriptor, 'manifest')
  const manifest = parseDocument(ociManifest, manifestBytes, 'manifest')
  return {
    kind,
    digest: candidate.descriptor.digest as Digest,
    config: await readBlob(files, manifest.config, 'configuration'),
    layers: manifest.layers.map(layer => ({
      name: layer.digest,
      stored: { digest: layer.digest as Digest, size: layer.size },
      open: () => openBlob(files, layer),
    })),
    chosen,
    close: () => files.close(),
  }
}

/** All image manifests below an index, without those that only attest others. Equal ones are one. */
async function collect(
  files: ImageFiles,
  bytes: Buffer,
  above: readonly string[],
  depth: number,
): Promise<Candidate[]> {
  if (depth > MAX_INDEX_DEPTH) fail('IMAGE_INVALID', 'the indexes of the image are nested too deep')
  const found = new Map<string, Candidate>()
  const add = (candidate: Candidate) => {
    const other = found.get(candidate.descriptor.digest)
    const names = [...new Set([...(other?.names ?? []), ...candidate.names])]
    found.set(candidate.descriptor.digest, { ...candidate, names })
  }
  for (const descriptor of parseDocument(ociIndex, bytes, 'index').manifests) {
    const names = [...above, ...namesOf(descriptor)]
    if (descriptor.annotations?.['vnd.docker.reference.type'] === 'attestation-manifest') continue
    if (INDEX_TYPES.has(descriptor.mediaType ?? '')) {
      const inner = await readBlob(files, descriptor, 'index')
      for (const candidate of await collect(files, inner, names, depth + 1)) add(candidate)
    } else add({ descriptor, names, platform: platformOf(descriptor) })
  }
  return [...found.values()]
}

function namesOf(descriptor: Descriptor): string[] {
  const { annotations } = descriptor
  return ['org.opencontainers.image.ref.name', 'io.containerd.image.name']
    .map(key => annotations?.[key])
    .filter(name => name !== undefined)
}

/** `v1`, `tools:v1` and `docker.io/library/tools:v1` all name the last. */
function isTag(name: string, tag: string): boolean {
  return name === tag || name.endsWith(`/${tag}`) || name.endsWith(`:${tag}`)
}

function platformOf({ platform }: Descriptor): string | null {
  return platform ? `${platform.os}/${platform.architecture}` : null
}

async function choose(
  files: ImageFiles,
  candidates: readonly Candidate[],
): Promise<{ candidate: Candidate; chosen: string | null }> {
  if (candidates.length === 1) return { candidate: candidates[0]!, chosen: null }
  const known = await Promise.all(
    candidates.map(async candidate => ({
      ...candidate,
      platform: candidate.platform ?? (await platformOfConfig(files, candidate.descriptor)),
    })),
  )
  const wanted = `linux/${hostArchitecture}`
  const fitting = known.filter(({ platform }) => platform === wanted)
  const platforms = [...new Set(known.map(({ platform }) => platform))].join(', ')
  if (fitting.length === 1) return { candidate: fitting[0]!, chosen: `${wanted} of ${platforms}` }
  if (fitting.length === 0)
    fail('IMAGE_SOURCE', `the image is for ${platforms}, but none is for ${wanted}`, {
      hints: ['save the image for one platform only: `podman save` after `podman pull --platform`'],
    })
  return fail('IMAGE_SOURCE', `the source holds ${fitting.length} images for ${wanted}`, {
    hints: fitting.flatMap(({ names }) => names.map(name => `source: <path>:${name}`)),
  })
}

async function platformOfConfig(files: ImageFiles, descriptor: Descriptor): Promise<string> {
  const bytes = await readBlob(files, descriptor, 'manifest')
  const { config } = parseDocument(ociManifest, bytes, 'manifest')
  const { os, architecture } = parseDocument(
    ociConfig,
    await readBlob(files, config, 'configuration'),
    'configuration',
  )
  return `${os}/${architecture}`
}

function noSuchTag(all: readonly Candidate[], tag: string | null): never {
  const names = all.flatMap(candidate => candidate.names)
  if (tag === null || all.length === 0) fail('IMAGE_INVALID', 'the OCI layout holds no image')
  return fail('IMAGE_SOURCE', `the source holds no image "${tag}"`, {
    hints: names.length > 0 ? names.map(name => `source: <path>:${name}`) : ['leave out the tag'],
  })
}

const blobPath = (digest: string) => `blobs/sha256/${hexOf(digest as Digest)}`

async function* openBlob(files: ImageFiles, { digest }: Descriptor): AsyncGenerator<Uint8Array> {
  const name = blobPath(digest)
  if ((await files.size(name)) === null)
    fail('IMAGE_INVALID', `the blob ${digest} is missing in the image`, { hints: [SAVE_AGAIN] })
  yield* files.open(name)
}

const SAVE_AGAIN = 'save the image again, whole'

/** A small blob, checked. Throws IMAGE_INVALID naming it. */
async function readBlob(
  files: ImageFiles,
  { digest, size }: Descriptor,
  what: string,
): Promise<Buffer> {
  const bytes = await readSmall(files, blobPath(digest))
  if (!bytes)
    fail('IMAGE_INVALID', `the ${what} blob ${digest} is missing in the image`, {
      hints: [SAVE_AGAIN],
    })
  if (bytes.length !== size)
    fail('IMAGE_INVALID', `the ${what} blob ${digest} has ${bytes.length} bytes instead of ${size}`)
  const found = `sha256:${createHash('sha256').update(bytes).digest('hex')}`
  if (found !== digest)
    fail('IMAGE_INVALID', `the ${what} blob ${digest} has the digest ${found}`, {
      hints: [SAVE_AGAIN],
    })
  return bytes
}
