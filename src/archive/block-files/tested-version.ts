import { createRequire } from 'node:module'
import crypto from 'hypercore-crypto'

/** The one version of hypercore-storage that block files are laid under and tested with. */
export const TESTED_STORAGE = '3.3.1'

/** The one version of hypercore-crypto whose leaf hashes may come from elsewhere. */
export const TESTED_CRYPTO = '3.7.0'

const require = createRequire(import.meta.url)

export function installedStorage(): string {
  return versionOf('hypercore-storage')
}

/** The module that Hypercore hashes with, itself: both pin it, and the command is built of one. */
export function cryptoOfHypercore(): { crypto: typeof crypto; version: string } {
  return { crypto, version: versionOf('hypercore-crypto') }
}

function versionOf(name: string): string {
  return (require(`${name}/package.json`) as { version: string }).version
}
