import { createHash, type Hash } from 'node:crypto'
import { open } from 'node:fs/promises'
import { createGunzip } from 'node:zlib'
import type { Digest } from '../core/digest.ts'
import { fail } from '../core/errors.ts'
import { foreignCompression, isGzip } from './compression.ts'
import { elfArchitecture } from './elf.ts'
import type { SourceLayer } from './formats/source-image.ts'
import { FileSource } from './tar/byte-source.ts'
import { readTar } from './tar/tar-reader.ts'

/**
 * The uncompressed tar of a layer. The stored bytes are checked against what the source states of them.
 * Throws IMAGE_INVALID naming the blob, IMAGE_SOURCE for a compression that is not read yet.
 */
export async function* uncompressed(
  layer: SourceLayer,
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const stored = checkStored(layer, signal)
  const first = await stored.next()
  if (first.done) return
  const head = Buffer.from(first.value.buffer, first.value.byteOffset, first.value.byteLength)
  const foreign = foreignCompression(head)
  if (foreign)
    fail(
      'IMAGE_SOURCE',
      `the layer ${layer.name} is compressed by ${foreign.name}, which is not supported yet`,
      {
        hints: ['skopeo copy --dest-compress-format gzip SOURCE oci-archive:image.tar'],
      },
    )
  const whole = prepend(first.value, stored)
  if (isGzip(head)) yield* gunzipped(layer, whole)
  else yield* whole
}

async function* prepend(
  first: Uint8Array,
  rest: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  yield first
  yield* rest
}

async function* gunzipped(
  layer: SourceLayer,
  chunks: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  const output = createGunzip({ chunkSize: 1 << 18 })
  const state = { ended: false, abandoned: false }
  const over = new Promise<void>(resolve => {
    const end = () => {
      state.ended = true
      resolve()
    }
    output.once('end', end).once('close', end)
  })
  // Reads on after the end of the gzip, so that the digest is over everything.
  const feed = async () => {
    for await (const chunk of chunks) {
      if (state.abandoned) return
      if (state.ended || output.write(chunk)) continue
      await Promise.race([new Promise(resolve => output.once('drain', resolve)), over])
    }
    if (!state.ended) output.end()
  }
  const fed = feed().catch((error: Error) => void output.destroy(error))
  try {
    for await (const chunk of output) yield chunk as Buffer
    await fed
    if (output.errored) throw output.errored
  } catch (error) {
    if (!(error as NodeJS.ErrnoException).code?.startsWith('Z_')) throw error
    fail('IMAGE_INVALID', `the layer ${layer.name} is no whole gzip: ${(error as Error).message}`)
  } finally {
    state.abandoned = true
    output.destroy()
    await fed
  }
}

async function* checkStored(
  layer: SourceLayer,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array> {
  const hash: Hash | null = layer.stored ? createHash('sha256') : null
  let size = 0
  for await (const chunk of layer.open()) {
    signal?.throwIfAborted()
    hash?.update(chunk)
    size += chunk.length
    if (layer.stored && size > layer.stored.size) wrongSize(layer, `more than ${layer.stored.size}`)
    yield chunk
  }
  if (!layer.stored || !hash) return
  if (size !== layer.stored.size) wrongSize(layer, `${size} instead of ${layer.stored.size}`)
  const found: Digest = `sha256:${hash.digest('hex')}`
  if (found !== layer.stored.digest)
    fail('IMAGE_INVALID', `the layer ${layer.name} has the digest ${found}`, {
      hints: ['the image is damaged: save it again'],
    })
}

function wrongSize(layer: SourceLayer, what: string): never {
  fail('IMAGE_INVALID', `the layer ${layer.name} has ${what} bytes`, {
    hints: ['the image is damaged or cut short: save it again'],
  })
}

/**
 * Reads through an imported layer so that a broken tar is found at the author's and not at the reader's.
 * Returns the architecture of the first program met. Throws IMAGE_INVALID.
 */
export async function inspectLayer(
  path: string,
  plain: boolean,
  signal?: AbortSignal,
): Promise<string | null> {
  const handle = await open(path, 'r')
  let architecture: string | null = null
  try {
    const source = new FileSource(handle, (await handle.stat()).size)
    for await (const entry of readTar(source, { endMark: plain })) {
      signal?.throwIfAborted()
      if (plain && /(^|\/)\.wh\.[^/]*$/.test(entry.path))
        fail('IMAGE_INVALID', `"${entry.path}" has a name that images use for deletions`)
      if (architecture !== null || entry.type !== 'file' || (entry.mode & 0o111) === 0) continue
      for await (const chunk of entry.body()) {
        architecture = elfArchitecture(chunk)
        break
      }
    }
  } finally {
    await handle.close()
  }
  return architecture
}
