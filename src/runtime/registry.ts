import type { RuntimeName } from '../../schemas/index.ts'
import { bubblewrap } from './adapters/bubblewrap.ts'
import { host } from './adapters/host.ts'
import { podman } from './adapters/podman.ts'
import { unshare } from './adapters/unshare.ts'
import type { RuntimeAdapter } from './types.ts'

/** All adapters, in the order in which they are preferred: the most isolated and fastest first. */
export const adapters: readonly RuntimeAdapter[] = [bubblewrap, unshare, podman, host]

/** What `--runtime` may name beside `auto`, in the same order. */
export const adapterNames: readonly RuntimeName[] = adapters.map(adapter => adapter.name)

/** The adapter of a runtime, or null for a name that a manifest may use but that we have no adapter for. */
export function adapterFor(name: RuntimeName): RuntimeAdapter | null {
  return adapters.find(adapter => adapter.name === name) ?? null
}
