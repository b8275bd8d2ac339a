import { createHash, randomBytes } from 'node:crypto'
import { mkdir, open, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { hexOf } from '../core/digest.ts'
import { syncFolder } from '../system/atomic-file.ts'
import { type BlobName, formatIndex, formatManifest, OCI_LAYOUT, type OciConfig } from './oci.ts'
import { reuseLayout } from './reuse-layout.ts'

/** Writes an OCI layout into a scratch folder, blob by blob, and moves it to its name when it is whole. */
export class LayoutWriter {
  readonly folder: string
  readonly #blobs: string

  private constructor(folder: string) {
    this.folder = folder
    this.#blobs = join(folder, 'blobs', 'sha256')
  }

  static async make(folder: string): Promise<LayoutWriter> {
    const writer = new LayoutWriter(folder)
    await mkdir(writer.#blobs, { recursive: true, mode: 0o755 })
    return writer
  }

  /** Yields the bytes written so far; returns the blob's name. */
  async *addBlob(
    chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  ): AsyncGenerator<number, BlobName> {
    const temporary = join(this.folder, `blob.${randomBytes(6).toString('hex')}`)
    const hash = createHash('sha256')
    let size = 0
    const handle = await open(temporary, 'wx', 0o644)
    try {
      for await (const chunk of chunks) {
        hash.update(chunk)
        for (let at = 0; at < chunk.length; )
          at += (await handle.write(chunk, at, chunk.length - at)).bytesWritten
        size += chunk.length
        yield size
      }
      await handle.sync()
    } finally {
      await handle.close()
    }
    const name: BlobName = { digest: `sha256:${hash.digest('hex')}`, size }
    await rename(temporary, this.blobPath(name.digest))
    return name
  }

  blobPath(digest: `sha256:${string}`): string {
    return join(this.#blobs, hexOf(digest))
  }

  /** Writes manifest and index, then moves the layout to `<cache>/images/<hex>`. Another process may have been faster. */
  async finish(
    cache: string,
    config: Buffer,
    parsed: OciConfig,
    layers: readonly BlobName[],
  ): Promise<{ folder: string; manifest: BlobName; config: BlobName }> {
    const configName = await this.#addBytes(config)
    const manifest = await this.#addBytes(formatManifest(configName, layers))
    await writeFile(join(this.folder, 'index.json'), formatIndex(manifest, parsed), { flush: true })
    await writeFile(join(this.folder, 'oci-layout'), OCI_LAYOUT, { flush: true })
    const images = join(cache, 'images')
    const folder = join(images, hexOf(manifest.digest))
    await mkdir(images, { recursive: true, mode: 0o755 })
    for (let there = true; there; ) {
      there = await rename(this.folder, folder).then(
        () => false,
        (error: NodeJS.ErrnoException) => {
          if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error
          return true
        },
      )
      // One that is damaged was taken away by this, and makes room.
      if (there && (await reuseLayout(folder)) !== null) break
    }
    await syncFolder(images)
    return { folder, manifest, config: configName }
  }

  async #addBytes(bytes: Buffer): Promise<BlobName> {
    const writing = this.addBlob([bytes])
    for (;;) {
      const step = await writing.next()
      if (step.done) return step.value
    }
  }
}
