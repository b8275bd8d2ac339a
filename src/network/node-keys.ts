import NoiseSecretStream, { type NoiseKeyPair } from '@hyperswarm/secret-stream'
import type { Seed } from '../system/seed.ts'

export type { NoiseKeyPair }

/** The key pair that this home shows to peers, on every route. It is no bundle's key. */
export function nodeKeyPair(seed: Seed): NoiseKeyPair {
  return NoiseSecretStream.keyPair(seed.derive('node'))
}
