import { createReadStream } from 'node:fs'
import { type FileHandle, open, stat } from 'node:fs/promises'
import { join, posix } from 'node:path'
import { fail } from '../../core/errors.ts'
import { showBytePath } from '../byte-path.ts'
import { MAX_DOCUMENT_BYTES } from '../limits.ts'
import { FileSource } from '../tar/byte-source.ts'
import { readTar } from '../tar/tar-reader.ts'

/** The files of an image by name, whether they lie in a folder or in a tar. */
export interface ImageFiles {
  /** Null when there is no such file. */
  size(name: string): Promise<number | null>
  /** Throws IMAGE_INVALID when there is no such file. */
  open(name: string): AsyncIterable<Uint8Array>
  close(): Promise<void>
}

const CHUNK_BYTES = 1 << 20

export function folderFiles(folder: string): ImageFiles {
  return {
    size: async name => {
      const found = await stat(join(folder, name)).catch(() => null)
      return found?.isFile() ? found.size : null
    },
    async *open(name) {
      yield* createReadStream(join(folder, name), {
        highWaterMark: CHUNK_BYTES,
      }) as AsyncIterable<Uint8Array>
    },
    close: async () => undefined,
  }
}

interface Member {
  readonly offset: number
  readonly size: number
  /** The name this one stands for: docker-archives link equal layers. */
  readonly target: string | null
}

/** Files of an uncompressed tar, read in place. Throws IMAGE_INVALID when it is broken. */
export async function tarFiles(path: string, signal?: AbortSignal): Promise<TarFiles> {
  const handle = await open(path, 'r')
  try {
    const members = new Map<string, Member>()
    const { size } = await handle.stat()
    for await (const entry of readTar(new FileSource(handle, size), { endMark: true })) {
      signal?.throwIfAborted()
      const name = memberName(showBytePath(entry.path))
      const target = targetOf(entry.type, name, showBytePath(entry.target))
      if (entry.type === 'file' || target !== null)
        members.set(name, { offset: entry.offset, size: entry.size, target })
    }
    return new TarFiles(handle, members)
  } catch (error) {
    await handle.close()
    throw error
  }
}

function targetOf(type: string, name: string, target: string): string | null {
  if (type === 'hardlink') return memberName(target)
  if (type === 'link') return memberName(posix.join(posix.dirname(name), target))
  return null
}

const memberName = (path: string) => posix.normalize(`/${path}`).slice(1)

export class TarFiles implements ImageFiles {
  readonly #handle: FileHandle
  readonly #members: ReadonlyMap<string, Member>

  constructor(handle: FileHandle, members: ReadonlyMap<string, Member>) {
    this.#handle = handle
    this.#members = members
  }

  get names(): string[] {
    return [...this.#members.keys()]
  }

  async size(name: string): Promise<number | null> {
    return this.#find(name)?.size ?? null
  }

  async *open(name: string): AsyncGenerator<Uint8Array> {
    const member = this.#find(name)
    if (!member) fail('IMAGE_INVALID', `the image has no "${name}"`)
    const end = member.offset + member.size
    for (let at = member.offset; at < end; ) {
      const buffer = Buffer.allocUnsafe(Math.min(CHUNK_BYTES, end - at))
      const { bytesRead } = await this.#handle.read(buffer, 0, buffer.length, at)
      if (bytesRead === 0) fail('IMAGE_INVALID', `"${name}" in the image is cut short`)
      yield buffer.subarray(0, bytesRead)
      at += bytesRead
    }
  }

  async close(): Promise<void> {
    await this.#handle.close()
  }

  #find(name: string): Member | null {
    let member = this.#members.get(name)
    for (let hops = 0; member?.target && hops < 8; hops++) member = this.#members.get(member.target)
    return member && member.target === null ? member : null
  }
}

/** Reads a small file whole, or null when it is not there. Throws IMAGE_INVALID when it is too large. */
export async function readSmall(files: ImageFiles, name: string): Promise<Buffer | null> {
  const size = await files.size(name)
  if (size === null) return null
  if (size > MAX_DOCUMENT_BYTES)
    fail('IMAGE_INVALID', `"${name}" in the image has ${size} bytes, too many to be what it should`)
  const chunks: Uint8Array[] = []
  for await (const chunk of files.open(name)) chunks.push(chunk)
  return Buffer.concat(chunks)
}
