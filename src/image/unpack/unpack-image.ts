import { chmod, lstat, mkdir, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { sha256Digest, type WorkRecord } from '../../../schemas/index.ts'
import { type Digest, hexOf } from '../../core/digest.ts'
import { ReproError } from '../../core/errors.ts'
import { writeFileAtomic } from '../../system/atomic-file.ts'
import { makeScratchFolder } from '../../system/scratch-folder.ts'
import {
  checkImageManifest,
  type ImageToUnpack,
  type LayerName,
  otherLayers,
} from '../image-manifest.ts'
import type { TreeHash } from '../rootfs-hash.ts'
import { StreamSource } from '../tar/byte-source.ts'
import { readTar } from '../tar/tar-reader.ts'
import { CheckedBytes } from './checked-bytes.ts'
import { RootfsWriter } from './rootfs-writer.ts'

export interface UnpackedImage {
  readonly path: string
  /** Digest of the OCI manifest. */
  readonly digest: string
  readonly treeHash: TreeHash
  /** It was there already, or another process was faster: nothing was looked at in it. */
  readonly fromCache: boolean
}

const marker = z.strictObject({
  format: z.literal(0),
  digest: sha256Digest,
  layers: z.array(sha256Digest),
  treeHash: z.templateLiteral(['blake3:', z.string()]),
  files: z.int(),
  bytes: z.int(),
})
type Marker = z.infer<typeof marker>

const PROGRESS_BYTES = 16 << 20

/**
 * Unpacks an image into `<cache>/rootfs/<hex of the manifest digest>/`, without root, and checks every byte on the way.
 * A rootfs that is there is used as it is. All files belong to the caller; set-uid bits and device nodes are left out.
 * Throws HASH_MISMATCH when the bytes are not those named, IMAGE_INVALID for what no image may hold; nothing is left then.
 */
export async function* unpackImage(
  image: ImageToUnpack,
  cache: string,
  signal?: AbortSignal,
): AsyncGenerator<WorkRecord, UnpackedImage> {
  const digest = image.manifestDigest
  const path = join(cache, 'rootfs', hexOf(sha256Digest.parse(digest) as Digest))
  const found = await readCached(path, cache, image)
  if (found) {
    yield { action: 'unpack', status: 'unchanged', subject: digest, message: 'already unpacked' }
    return { path, digest, treeHash: found.treeHash, fromCache: true }
  }
  const totalBytes = image.layers.reduce((sum, layer) => sum + layer.size, 0)
  yield { action: 'unpack', status: 'start', subject: digest, bytes: 0, totalBytes }
  const scratch = await makeScratchFolder(cache, 'rootfs')
  const writer = new RootfsWriter(scratch)
  try {
    await checkImageManifest(image)
    let done = 0
    for (const layer of image.layers) {
      for await (const bytes of unpackLayer(image, layer, writer, signal))
        yield { action: 'progress', subject: digest, bytes: done + bytes, totalBytes }
      done += layer.size
    }
    const { treeHash, files, bytes } = await writer.finish()
    const layers = image.layers.map(layer => layer.digest)
    const kept = await keep(scratch, path, { format: 0, digest, layers, treeHash, files, bytes })
    if (writer.skipped > 0)
      yield {
        action: 'note',
        subject: digest,
        message: `${writer.skipped} device nodes, fifos or sockets of the image were left out`,
      }
    yield { action: 'unpack', status: 'ok', subject: digest, files, bytes: totalBytes, totalBytes }
    return { path, digest, treeHash, fromCache: !kept }
  } finally {
    await writer.close()
    await rm(scratch, { recursive: true, force: true })
  }
}

const markerPath = (path: string) => `${path}.json`

async function readCached(
  path: string,
  cache: string,
  image: ImageToUnpack,
): Promise<Marker | null> {
  if (!(await lstat(path).catch(() => null))?.isDirectory()) return null
  const text = await readFile(markerPath(path), 'utf8').catch(() => 'null')
  const found = parseMarker(text)
  if (found?.digest !== image.manifestDigest) {
    // The marker is written before the folder gets its name: a folder without it is of no known making.
    const old = await makeScratchFolder(cache, 'old')
    await rename(path, old).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error
    })
    await rm(old, { recursive: true, force: true })
    return null
  }
  if (found.layers.join() !== image.layers.map(layer => layer.digest).join())
    otherLayers(image.manifestDigest)
  return found
}

function parseMarker(text: string): Marker | null {
  try {
    return marker.parse(JSON.parse(text))
  } catch {
    return null
  }
}

/** Marker first, then the folder: it counts as unpacked when both are there. False when another process was faster. */
async function keep(scratch: string, path: string, facts: Marker): Promise<boolean> {
  await writeFileAtomic(markerPath(path), `${JSON.stringify(facts)}\n`)
  await mkdir(join(path, '..'), { recursive: true, mode: 0o755 })
  await chmod(scratch, 0o755)
  return await rename(scratch, path).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error
      return false
    },
  )
}

/** Yields the bytes read so far, now and then. */
async function* unpackLayer(
  image: ImageToUnpack,
  layer: LayerName,
  writer: RootfsWriter,
  signal: AbortSignal | undefined,
): AsyncGenerator<number> {
  const bytes = new CheckedBytes(image.openBlob(layer.digest), layer)
  let reported = 0
  writer.beginLayer()
  try {
    for await (const entry of readTar(new StreamSource(bytes.chunks(signal)))) {
      signal?.throwIfAborted()
      await writer.apply(entry)
      if (bytes.count - reported < PROGRESS_BYTES) continue
      reported = bytes.count
      yield reported
    }
    await bytes.drain()
  } catch (error) {
    // A broken tar may be a fault of the image or of the copy: the digest tells which.
    if (error instanceof ReproError && error.code === 'IMAGE_INVALID') await bytes.drain()
    throw error
  } finally {
    await bytes.close()
  }
}
