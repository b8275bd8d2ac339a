import { createRequire } from 'node:module'

/** The one version of hypercore-storage that block files are laid under and tested with. */
export const TESTED_STORAGE = '3.3.1'

/** The one version of hypercore-crypto whose leaf hashes may come from elsewhere. */
export const TESTED_CRYPTO = '3.7.0'

interface HypercoreCrypto {
  /** The hash of a block as a leaf of the tree. */
  data(bytes: Buffer): Buffer
}

const require = createRequire(import.meta.url)

export function installedStorage(): string {
  return versionOf(require, 'hypercore-storage')
}

/** The module that Hypercore hashes with, itself. */
export function cryptoOfHypercore(): { crypto: HypercoreCrypto; version: string } {
  const inHypercore = createRequire(require.resolve('hypercore'))
  const crypto = inHypercore('hypercore-crypto') as HypercoreCrypto
  return { crypto, version: versionOf(inHypercore, 'hypercore-crypto') }
}

function versionOf(from: NodeJS.Require, name: string): string {
  return (from(`${name}/package.json`) as { version: string }).version
}
