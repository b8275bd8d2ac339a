import type { HostReport, WorkRecord } from '../../../schemas/index.ts'
import type { Settings } from '../../core/settings.ts'
import { diagnose } from '../../host/doctor.ts'
import { withUsableCache } from '../usable-cache.ts'

export interface DoctorOptions {
  /** Tries every runtime again, whatever is known from the last time. */
  readonly fresh?: boolean
  readonly signal?: AbortSignal
}

/** Packages with compiled code, and the dependency of ours that brings each. */
const NATIVE_MODULES = [
  ['@napi-rs/blake-hash', '@napi-rs/blake-hash'],
  ['rocksdb-native', 'hypercore-storage'],
  ['sodium-native', 'hypercore'],
  ['udx-native', 'hyperdht'],
] as const

/** Finds out what this host can run, by trying it. Throws only when it is interrupted. */
export async function* doctor(
  settings: Settings,
  options: DoctorOptions = {},
): AsyncGenerator<WorkRecord, HostReport> {
  return yield* withUsableCache(settings, ({ home, cache }) =>
    diagnose({ home, cache, nativeModules: NATIVE_MODULES, ...options }),
  )
}
