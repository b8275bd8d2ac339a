import { createRequire } from 'node:module'

/** The one version of hypercore-storage that block files are laid under and tested with. */
export const TESTED_STORAGE = '3.3.1'

export function installedStorage(): string {
  const { version } = createRequire(import.meta.url)('hypercore-storage/package.json') as {
    version: string
  }
  return version
}
