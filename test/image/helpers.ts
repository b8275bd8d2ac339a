import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Header, pack } from 'tar-stream'
import { onTestFinished } from 'vitest'
import type { AuthorImage, WorkRecord } from '../../schemas/index.ts'
import { ReproError } from '../../src/core/errors.ts'
import type { ImageToUnpack } from '../../src/image/image-manifest.ts'
import { type ImportedImage, importImage } from '../../src/image/import-image.ts'
import { formatManifest } from '../../src/image/oci.ts'
import { type UnpackedImage, unpackImage } from '../../src/image/unpack/unpack-image.ts'

/** A folder of this test's own, gone afterwards. */
export async function testFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'repro-image-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  return folder
}

export interface Finished<T> {
  readonly result: T
  readonly records: readonly WorkRecord[]
}

export async function finish<T>(work: AsyncGenerator<WorkRecord, T>): Promise<Finished<T>> {
  const records: WorkRecord[] = []
  for (;;) {
    const step = await work.next()
    if (step.done) return { result: step.value, records }
    records.push(step.value)
  }
}

/** The error of ours that `work` ends with. */
export async function errorOf(work: Promise<unknown>): Promise<ReproError> {
  const error = await work.then(
    () => null,
    (thrown: unknown) => thrown,
  )
  if (error instanceof ReproError) return error
  throw error ?? new Error('expected an error, but it worked')
}

export async function importFrom(
  request: AuthorImage,
  folder: string,
  cache: string,
): Promise<ImportedImage> {
  return (await finish(importImage(request, { folder, cache }))).result
}

export function imageOf(imported: ImportedImage): ImageToUnpack {
  return {
    manifestDigest: imported.resolved.digest,
    config: imported.resolved.config,
    layers: imported.resolved.layers,
    openBlob: digest =>
      createReadStream(join(imported.layout, 'blobs/sha256', digest.replace('sha256:', ''))),
  }
}

export async function unpack(image: ImageToUnpack, cache: string): Promise<UnpackedImage> {
  return (await finish(unpackImage(image, cache))).result
}

export type Member = Partial<Header> & { readonly name: string; readonly text?: string | Buffer }

/** A tar made by tar-stream from whatever a test wants in it. */
export async function tarOf(members: readonly Member[]): Promise<Buffer> {
  const tar = pack()
  for (const { text, ...header } of members) {
    if (text === undefined) tar.entry(header)
    else tar.entry(header, text)
  }
  tar.finalize()
  const chunks: Buffer[] = []
  for await (const chunk of tar) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}

export const sha256 = (bytes: Uint8Array): `sha256:${string}` =>
  `sha256:${createHash('sha256').update(bytes).digest('hex')}`

/** An image of these layers, as a bundle gives it: everything named by its right digest. */
export function imageOfLayers(layers: readonly Buffer[]): ImageToUnpack {
  const names = layers.map(bytes => ({ digest: sha256(bytes), size: bytes.length }))
  const config = sha256(Buffer.from('{}'))
  const manifest = formatManifest({ digest: config, size: 2 }, names)
  const blobs = new Map(layers.map(bytes => [sha256(bytes) as string, bytes]))
  blobs.set(sha256(manifest), manifest)
  return {
    manifestDigest: sha256(manifest),
    config,
    layers: names,
    async *openBlob(digest) {
      yield blobs.get(digest)!
    },
  }
}
