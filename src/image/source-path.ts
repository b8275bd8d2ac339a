import { lstat, readdir, stat } from 'node:fs/promises'
import { basename, dirname, relative, resolve } from 'node:path'
import { fail } from '../core/errors.ts'
import { nearest } from '../core/text.ts'

/** Transports that can be read now, with the formats they stand for. */
const READABLE = ['oci', 'oci-archive', 'docker-archive', 'dir', 'tar'] as const
type Transport = (typeof READABLE)[number]

const LATER: Readonly<Record<string, string>> = {
  docker: 'skopeo copy docker://NAME oci-archive:image.tar',
  'docker-daemon': 'docker save NAME -o image.tar',
  'containers-storage': 'podman save --format oci-archive NAME -o image.tar',
  sif: 'apptainer build --sandbox rootfs image.sif',
  squashfs: 'unsquashfs -d rootfs image.squashfs',
  library: 'apptainer build --sandbox rootfs library://NAME',
  oras: 'apptainer build --sandbox rootfs oras://NAME',
  shub: 'apptainer build --sandbox rootfs shub://NAME',
  ostree: 'skopeo copy ostree:NAME oci-archive:image.tar',
  http: 'curl -LO URL',
  https: 'curl -LO URL',
}

export const SUPPORTED =
  'an OCI layout folder, an oci-archive or docker-archive tar, a rootfs tar (plain or gzip), or a rootfs folder'

export interface LocatedSource {
  /** Absolute. */
  readonly path: string
  readonly isFolder: boolean
  /** What the author called it; null when he gave a path alone. */
  readonly transport: Transport | null
  readonly tag: string | null
  /** For provenance: relative to the bundle, or the name alone when it lies elsewhere. */
  readonly shown: string
}

/**
 * Finds what `source:` names: `path`, `path:tag`, each with or without a transport before it.
 * Throws IMAGE_SOURCE when it is not there, or of a transport that is not read yet.
 */
export async function locateSource(source: string, folder: string): Promise<LocatedSource> {
  const prefix = /^([a-z][a-z-]*):/.exec(source)?.[1]
  const transport = READABLE.find(name => name === prefix) ?? null
  if (prefix !== undefined && transport === null && LATER[prefix] !== undefined)
    notYet(`"${source}" is of the transport "${prefix}:"`, [LATER[prefix]])
  const rest = transport ? source.slice(transport.length + 1) : source
  const found = await splitTag(rest, folder)
  if (!found) return await notThere(source, rest, folder)
  const path = resolve(folder, found.path)
  const inside = relative(resolve(folder), path)
  const shown = inside === '' || inside.startsWith('..') ? basename(path) : inside
  return { path, isFolder: (await stat(path)).isDirectory(), transport, tag: found.tag, shown }
}

/** Throws IMAGE_SOURCE for what will be read in a later version. */
export function notYet(what: string, commands: readonly string[]): never {
  return fail('IMAGE_SOURCE', `${what}, which is not supported yet; supported are ${SUPPORTED}`, {
    hints: commands,
  })
}

/** The longest beginning, cut at a colon, that is there; the rest is the tag. */
async function splitTag(
  text: string,
  folder: string,
): Promise<{ path: string; tag: string | null } | null> {
  for (let end = text.length; end > 0; end = text.lastIndexOf(':', end - 1)) {
    const path = text.slice(0, end)
    if (await stat(resolve(folder, path)).catch(() => null))
      return { path, tag: end === text.length ? null : text.slice(end + 1) }
  }
  return null
}

async function notThere(source: string, path: string, folder: string): Promise<never> {
  const full = resolve(folder, path)
  if (await lstat(full).catch(() => null))
    fail('IMAGE_SOURCE', `the image source "${source}" is a link that leads nowhere`)
  const beside = await readdir(dirname(full)).catch(() => [])
  const near = nearest(basename(full), beside)
  return fail('IMAGE_SOURCE', `the image source "${source}" is not there`, {
    hints: [
      ...(near ? [`did you mean "${near}"?`] : []),
      'make it, for example: podman save --format oci-archive NAME -o image.tar',
    ],
  })
}
