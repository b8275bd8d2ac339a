/** A hash of content as `algorithm:hex`, at every edge of the program. */
export type Digest = `blake3:${string}` | `sha256:${string}`

const DIGEST = /^(blake3|sha256):([0-9a-f]{64})$/

export function isDigest(text: string): text is Digest {
  return DIGEST.test(text)
}

/** The 64 hex digits of a digest. */
export function hexOf(digest: Digest): string {
  return digest.slice(digest.indexOf(':') + 1)
}
