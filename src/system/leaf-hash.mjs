// BLAKE2b-256 of a zero byte, the length (64 bit, little-endian) and the bytes: what a block is in the Merkle tree of a
// core. Done by the threads of ingest-pool.ts. Types: leaf-hash.d.mts.

/** @param {{Blake2BHasher: any, Blake2BParam: any}} native */
export function createLeafHash({ Blake2BHasher, Blake2BParam }) {
  const param = new Blake2BParam()
  param.hashLength(32)
  const head = Buffer.alloc(9)
  return bytes => {
    head.writeBigUInt64LE(BigInt(bytes.length), 1)
    return Blake2BHasher.withParams(param).update(head).update(bytes).digestBuffer()
  }
}

/** Answers a {leaves: id, slab, ranges: [begin, end, …]}. */
export function hashLeaves(leafHash, { leaves: id, slab, ranges }) {
  const digests = []
  for (let i = 0; i < ranges.length; i += 2)
    digests.push(leafHash(Buffer.from(slab, ranges[i], ranges[i + 1] - ranges[i])))
  return { type: 'leaves', id, slab, digests: Buffer.concat(digests) }
}
