import { createReadStream, createWriteStream } from 'node:fs'
import { open, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { createGunzip } from 'node:zlib'
import { fail } from '../core/errors.ts'
import { foreignCompression, isGzip } from './compression.ts'
import { isDockerManifest, readDockerArchive } from './formats/docker-archive.ts'
import { folderFiles, readSmall, type TarFiles, tarFiles } from './formats/image-files.ts'
import { readOci } from './formats/oci.ts'
import { looksLikeRootfs, rootfsFolder, rootfsTar } from './formats/rootfs.ts'
import type { SourceImage } from './formats/source-image.ts'
import { type LocatedSource, notYet, SUPPORTED } from './source-path.ts'

/**
 * Recognises what lies at a source by its content and opens it. `scratch` takes the tar of a compressed archive.
 * Throws IMAGE_SOURCE when it is nothing that can be read, or not what the author called it; IMAGE_INVALID when it is broken.
 */
export async function openSource(
  source: LocatedSource,
  scratch: string,
  signal?: AbortSignal,
): Promise<SourceImage> {
  const image = source.isFolder
    ? await openFolder(source, signal)
    : await openFile(source, scratch, signal)
  try {
    checkTransport(source, image)
  } catch (error) {
    await image.close()
    throw error
  }
  return image
}

async function openFolder(source: LocatedSource, signal?: AbortSignal): Promise<SourceImage> {
  const files = folderFiles(source.path)
  const names = await readdir(source.path)
  const manifest = await readSmall(files, 'manifest.json')
  const docker = manifest !== null && isDockerManifest(manifest)
  if (docker && source.transport === 'docker-archive')
    return await readDockerArchive(files, source.tag)
  if (names.includes('oci-layout')) return await readOci(files, 'oci-layout', source.tag)
  if (docker) return await readDockerArchive(files, source.tag)
  const version = (await readSmall(files, 'version'))?.toString('latin1') ?? ''
  if (version.startsWith('Directory Transport Version'))
    notYet(`"${source.shown}" is a folder of skopeo's dir: transport`, [
      `skopeo copy dir:${source.shown} oci-archive:image.tar`,
    ])
  if (looksLikeRootfs(names)) return rootfsFolder(source.path, signal)
  return fail('IMAGE_SOURCE', `the folder "${source.shown}" holds no image`, {
    hints: [`expected ${SUPPORTED}`],
  })
}

async function openFile(
  source: LocatedSource,
  scratch: string,
  signal?: AbortSignal,
): Promise<SourceImage> {
  const head = await readHead(source.path)
  const foreign = foreignCompression(head)
  if (foreign)
    notYet(`"${source.shown}" is compressed by ${foreign.name}`, [
      `${foreign.command} ${source.shown}`,
    ])
  if (head.subarray(0, 4).toString('latin1') === 'hsqs')
    notYet(`"${source.shown}" is a squashfs`, [`unsquashfs -d rootfs ${source.shown}`])
  if (head.subarray(32, 41).toString('latin1') === 'SIF_MAGIC')
    notYet(`"${source.shown}" is a SIF`, [`apptainer build --sandbox rootfs ${source.shown}`])
  const path = isGzip(head) ? await gunzip(source, scratch, signal) : source.path
  const files = await tarFiles(path, signal)
  try {
    return await openTar(source, path, files)
  } catch (error) {
    await files.close()
    throw error
  }
}

async function openTar(source: LocatedSource, path: string, files: TarFiles): Promise<SourceImage> {
  const manifest = await readSmall(files, 'manifest.json')
  const docker = manifest !== null && isDockerManifest(manifest)
  if (docker && source.transport === 'docker-archive')
    return await readDockerArchive(files, source.tag)
  if ((await files.size('oci-layout')) !== null)
    return await readOci(files, 'oci-archive', source.tag)
  if (docker) return await readDockerArchive(files, source.tag)
  if (looksLikeRootfs(files.names)) {
    await files.close()
    return rootfsTar(
      () => createReadStream(path, { highWaterMark: 1 << 20 }) as AsyncIterable<Uint8Array>,
    )
  }
  return fail('IMAGE_SOURCE', `the tar "${source.shown}" holds no image`, {
    hints: [`expected ${SUPPORTED}`],
  })
}

async function readHead(path: string): Promise<Buffer> {
  const handle = await open(path, 'r')
  try {
    const buffer = Buffer.alloc(64)
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, 0)
    return buffer.subarray(0, bytesRead)
  } finally {
    await handle.close()
  }
}

async function gunzip(
  source: LocatedSource,
  scratch: string,
  signal: AbortSignal | undefined,
): Promise<string> {
  const path = join(scratch, 'source.tar')
  try {
    await pipeline(
      createReadStream(source.path, { highWaterMark: 1 << 20 }),
      createGunzip({ chunkSize: 1 << 18 }),
      createWriteStream(path, { flags: 'wx' }),
      ...(signal ? [{ signal }] : []),
    )
  } catch (error) {
    await rm(path, { force: true })
    const { code } = error as NodeJS.ErrnoException
    if (!code?.startsWith('Z_')) throw error
    fail('IMAGE_INVALID', `"${source.shown}" is no whole gzip file: ${(error as Error).message}`)
  }
  return path
}

const KINDS = {
  oci: ['oci-layout'],
  'oci-archive': ['oci-archive'],
  'docker-archive': ['docker-archive'],
  dir: ['rootfs-folder'],
  tar: ['rootfs-tar'],
} as const

function checkTransport({ transport, shown, tag }: LocatedSource, image: SourceImage): void {
  if (transport !== null && !(KINDS[transport] as readonly string[]).includes(image.kind))
    fail(
      'IMAGE_SOURCE',
      `"${shown}" is called "${transport}:", but by its content is ${image.kind}`,
      {
        hints: [`source: ${shown}`],
      },
    )
  if (tag !== null && image.kind.startsWith('rootfs'))
    fail('IMAGE_SOURCE', `"${shown}" is a plain rootfs, which has no tag "${tag}"`, {
      hints: [`source: ${shown}`],
    })
}
