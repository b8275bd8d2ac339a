import { createRequire } from 'node:module'
import type { IHasher } from 'hash-wasm'

/** An incremental BLAKE3 (Aumasson, O'Connor, Neves, Wilcox-O'Hearn 2020), 32 bytes out. */
export interface Blake3 {
  update(bytes: Uint8Array): this
  /** 64 hex digits; the hasher is spent afterwards. */
  hex(): string
}

interface NativeModule {
  blake3(input: Uint8Array | string): Buffer
  Blake3Hasher: new () => { update(input: Uint8Array): unknown; digest(format?: string): string }
}

/** Native where a prebuilt binary loads, else null: `REPRO_BLAKE3=wasm` leaves it out. */
const native: NativeModule | null = loadNative()
const spare: IHasher | null = native ? null : await (await import('hash-wasm')).createBLAKE3()

export const blake3Backend: 'native' | 'wasm' = native ? 'native' : 'wasm'

function loadNative(): NativeModule | null {
  if (process.env['REPRO_BLAKE3'] === 'wasm') return null
  try {
    return createRequire(import.meta.url)('@napi-rs/blake-hash') as NativeModule
  } catch {
    return null
  }
}

export function createBlake3(): Blake3 {
  return native ? new NativeBlake3(new native.Blake3Hasher()) : new WasmBlake3()
}

/** BLAKE3 of `bytes` (a string is taken as UTF-8), 64 hex digits. */
export function blake3(bytes: Uint8Array | string): string {
  return blake3Digest(bytes).toString('hex')
}

/** BLAKE3 of `bytes` (a string is taken as UTF-8), 32 bytes. */
export function blake3Digest(bytes: Uint8Array | string): Buffer {
  if (native) return native.blake3(bytes)
  return Buffer.from(spare!.init().update(bytes).digest('binary'))
}

class NativeBlake3 implements Blake3 {
  readonly #hasher: InstanceType<NativeModule['Blake3Hasher']>
  constructor(hasher: InstanceType<NativeModule['Blake3Hasher']>) {
    this.#hasher = hasher
  }
  update(bytes: Uint8Array): this {
    this.#hasher.update(bytes)
    return this
  }
  hex(): string {
    return this.#hasher.digest('hex')
  }
}

/** One WASM instance serves many hashers: its state is saved and loaded around every update. */
class WasmBlake3 implements Blake3 {
  #state: Uint8Array
  constructor() {
    this.#state = spare!.init().save()
  }
  update(bytes: Uint8Array): this {
    this.#state = spare!.load(this.#state).update(bytes).save()
    return this
  }
  hex(): string {
    return spare!.load(this.#state).digest('hex')
  }
}
