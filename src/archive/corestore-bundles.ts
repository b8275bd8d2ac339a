import type { Duplex } from 'node:stream'
import { fail } from '../core/errors.ts'
import type { BundleSummary } from '../core/home.ts'
import type { Seed } from '../system/seed.ts'
import type { Bundle, BundleStore } from './bundle.ts'

/** Being written: the first commit of this file only fixes the contract. */
export class CorestoreBundles implements BundleStore {
  static async open(home: string, _seed: Seed): Promise<CorestoreBundles> {
    return fail('INTERNAL', `the store at "${home}" cannot be opened yet`)
  }
  create(): Promise<Bundle> {
    return fail('INTERNAL', 'not there yet')
  }
  open(_key: string): Promise<Bundle> {
    return fail('INTERNAL', 'not there yet')
  }
  list(): Promise<BundleSummary[]> {
    return fail('INTERNAL', 'not there yet')
  }
  replicate(_connection: Duplex | boolean): Duplex {
    return fail('INTERNAL', 'not there yet')
  }
  findingPeers(): () => void {
    return fail('INTERNAL', 'not there yet')
  }
  async close(): Promise<void> {}
}
