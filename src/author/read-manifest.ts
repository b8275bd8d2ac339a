import { lstat, open } from 'node:fs/promises'
import { fail, ReproError } from '../core/errors.ts'
import { manifestError } from '../core/manifest-fault.ts'
import {
  assertManifestSize,
  MAX_MANIFEST_BYTES,
  type ManifestFile,
  parseManifestFile,
} from '../core/manifest-file.ts'

/** The name of the manifest in a bundle's folder. */
export const MANIFEST_NAME = 'repro.yaml'

/** Reads and parses a manifest. Throws MANIFEST_MISSING, MANIFEST_INVALID, READ_FAILED. */
export async function readManifestFile(path: string, fileName = path): Promise<ManifestFile> {
  return parseManifestFile(await readManifestText(path, fileName), fileName)
}

/** The text of a manifest. Its size is looked at before it is read. Throws as `readManifestFile`. */
export async function readManifestText(path: string, fileName = path): Promise<string> {
  return decode(await readBounded(path, fileName), fileName)
}

async function readBounded(path: string, fileName: string): Promise<Buffer> {
  try {
    const stats = await lstat(path)
    if (!stats.isFile())
      fail('MANIFEST_INVALID', `"${fileName}" is no regular file`, {
        hints: ['the manifest must be a file of its own, not a link or a folder'],
      })
    assertManifestSize(stats.size, fileName)
    const handle = await open(path, 'r')
    try {
      const buffer = Buffer.alloc(MAX_MANIFEST_BYTES + 1)
      let size = 0
      for (;;) {
        const { bytesRead } = await handle.read(buffer, size, buffer.length - size, size)
        if (bytesRead === 0) break
        size += bytesRead
        assertManifestSize(size, fileName)
      }
      return buffer.subarray(0, size)
    } finally {
      await handle.close()
    }
  } catch (cause) {
    if (cause instanceof ReproError) throw cause
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT')
      fail('MANIFEST_MISSING', `there is no manifest "${fileName}"`, {
        hints: ['write one: repro init', 'or name the folder that has one'],
        cause,
      })
    return fail('READ_FAILED', `cannot read "${fileName}": ${(cause as Error).message}`, { cause })
  }
}

function decode(bytes: Buffer, fileName: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    const good = bytes.toString('utf8').split('\ufffd', 1)[0]!
    const line = good.split('\n').length
    const column = good.length - good.lastIndexOf('\n')
    const message = 'is not UTF-8: save the file in that encoding'
    throw manifestError(fileName, [
      { file: fileName, line, column, path: '', value: null, message },
    ])
  }
}
