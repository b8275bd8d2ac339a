import { realpath, stat } from 'node:fs/promises'
import { basename, delimiter, dirname, join, normalize } from 'node:path'
import { fail } from '../../core/errors.ts'
import { ownershipFault } from '../../system/ownership.ts'
import { DEFAULT_PATH } from '../oci.ts'

/** Where a program may lie that a manifest names by its path, beside the folders of PATH. */
const STORES = /^\/(nix|gnu)\/store\//
const LOADER_FOLDERS = /^\/((usr\/)?lib(32|64|x32)?|(nix|gnu)\/store)\//
const LOADER_NAME = /^ld[\w.-]*\.so(\.\d+)?$/
const LIVE = /^\/(proc|sys|dev)\//

export interface Trusted {
  /** The folder of the manifest: nothing in it is executed to find out what it needs. */
  readonly folder: string
  /** PATH of whoever captures. */
  readonly path: string
}

/**
 * A manifest may be a stranger's, and capturing asks programs and their loader: so only those of this host are taken,
 * found by PATH or in a standard folder, never what lies in the manifest's own folder. Throws IMAGE_SOURCE.
 */
export async function assertHostProgram(
  name: string,
  found: string,
  { folder, path }: Trusted,
): Promise<void> {
  const named = [...path.split(delimiter), ...DEFAULT_PATH.split(delimiter)]
  const folders = new Set(named.map(one => join(one, '.')))
  const [real, root] = await Promise.all([realpath(found), realpath(folder)])
  if (root !== '/' && real.startsWith(`${root}/`))
    fail('IMAGE_SOURCE', `the program "${name}" lies in the folder itself, not on this host`, {
      hints: ['call it by its path in the command: files of the folder need not be in an image'],
    })
  const isStandard = folders.has(dirname(normalize(found))) || STORES.test(normalize(found))
  if (LIVE.test(real) || !isStandard)
    fail('IMAGE_SOURCE', `"${name}" lies in no folder of PATH, so it is not captured`, {
      hints: [
        `when you trust it: export PATH="$PATH:${dirname(found)}", and name it "${basename(found)}"`,
      ],
    })
}

/** The loader that a program asks for is executed: so it must be one of the system's. Throws IMAGE_SOURCE. */
export async function assertSystemLoader(loader: string, program: string): Promise<void> {
  const real = await realpath(loader).catch(() => null)
  if (real === null)
    return fail('IMAGE_SOURCE', `"${program}" starts by the loader "${loader}", which is not here`)
  const fault =
    LOADER_NAME.test(basename(loader)) && LOADER_FOLDERS.test(real)
      ? ownershipFault(await stat(real))
      : 'it is no dynamic loader of this system'
  if (fault !== null)
    fail('IMAGE_SOURCE', `the loader "${loader}" of "${program}" is not executed: ${fault}`, {
      hints: ['make an image with podman instead'],
    })
}
