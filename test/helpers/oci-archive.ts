import { createHash } from 'node:crypto'
import { createReadStream, createWriteStream } from 'node:fs'
import { stat, unlink } from 'node:fs/promises'
import { arch } from 'node:process'
import { pipeline } from 'node:stream/promises'
import { extract, type Header, pack } from 'tar-stream'

/**
 * Packs a plain tar of a root file system as an OCI archive of one uncompressed layer, leaving out entries
 * that `keep` refuses. Written by the book and without our own image code, so that it can test that.
 */
export async function tarToOciArchive(
  rootfs: string,
  archive: string,
  options: {
    readonly keep?: (entry: Header) => boolean
    /** Node's word for the processor; this machine's when absent. */
    readonly architecture?: string
  } = {},
): Promise<void> {
  const { keep = () => true, architecture = arch } = options
  const layerFile = `${archive}.layer`
  await filterTar(rootfs, layerFile, keep)
  const layer = { digest: await sha256File(layerFile), size: (await stat(layerFile)).size }
  const config = jsonBlob({
    architecture: architecture === 'x64' ? 'amd64' : architecture,
    os: 'linux',
    config: { Env: ['PATH=/usr/local/bin:/usr/bin:/bin'] },
    rootfs: { type: 'layers', diff_ids: [layer.digest] },
  })
  const manifest = jsonBlob({
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    config: descriptor('application/vnd.oci.image.config.v1+json', config),
    layers: [{ mediaType: 'application/vnd.oci.image.layer.v1.tar', ...layer }],
  })
  const index = jsonBlob({
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.index.v1+json',
    manifests: [descriptor('application/vnd.oci.image.manifest.v1+json', manifest)],
  })
  const tar = pack()
  const written = pipeline(tar, createWriteStream(archive))
  const blob = (digest: string) => `blobs/sha256/${digest.slice('sha256:'.length)}`
  tar.entry({ name: 'oci-layout' }, '{"imageLayoutVersion":"1.0.0"}')
  tar.entry({ name: 'index.json' }, index.bytes)
  tar.entry({ name: blob(manifest.digest) }, manifest.bytes)
  tar.entry({ name: blob(config.digest) }, config.bytes)
  await pipeline(
    createReadStream(layerFile),
    tar.entry({ name: blob(layer.digest), size: layer.size }),
  )
  tar.finalize()
  await written
  await unlink(layerFile)
}

async function filterTar(
  from: string,
  to: string,
  keep: (entry: Header) => boolean,
): Promise<void> {
  const reading = extract()
  const writing = pack()
  const read = pipeline(createReadStream(from), reading)
  const written = pipeline(writing, createWriteStream(to))
  for await (const entry of reading) {
    if (!keep(entry.header)) {
      entry.resume()
      continue
    }
    const { name, mode, type, linkname, size } = entry.header
    const header = {
      name,
      mode,
      type,
      linkname,
      size,
      mtime: new Date(0),
      uid: 0,
      gid: 0,
    } as Header
    if (type === 'file') await pipeline(entry, writing.entry(header))
    else {
      writing.entry(header)
      entry.resume()
    }
  }
  writing.finalize()
  await Promise.all([read, written])
}

interface Blob {
  readonly bytes: Buffer
  readonly digest: string
}

function jsonBlob(value: unknown): Blob {
  const bytes = Buffer.from(JSON.stringify(value))
  return { bytes, digest: `sha256:${createHash('sha256').update(bytes).digest('hex')}` }
}

const descriptor = (mediaType: string, { bytes, digest }: Blob) => ({
  mediaType,
  digest,
  size: bytes.length,
})

async function sha256File(path: string): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(path)) hash.update(chunk)
  return `sha256:${hash.digest('hex')}`
}
