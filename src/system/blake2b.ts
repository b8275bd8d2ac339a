import { createRequire } from 'node:module'
import { blake3Backend } from './blake3.ts'

interface Blake2bParam {
  hashLength(bytes: number): unknown
}
interface NativeModule {
  Blake2BParam: new () => Blake2bParam
  Blake2BHasher: {
    withParams(param: Blake2bParam): { update(bytes: Uint8Array): unknown; digestBuffer(): Buffer }
  }
}

/** BLAKE2b-256 of `bytes`. The one without native code is loaded only where there is no other. */
export async function blake2b256(bytes: Uint8Array): Promise<Buffer> {
  if (blake3Backend === 'native') {
    const native = createRequire(import.meta.url)('@napi-rs/blake-hash') as NativeModule
    const param = new native.Blake2BParam()
    param.hashLength(32)
    const hasher = native.Blake2BHasher.withParams(param)
    hasher.update(bytes)
    return hasher.digestBuffer()
  }
  const { blake2b } = await import('hash-wasm')
  return Buffer.from(await blake2b(bytes, 256), 'hex')
}
