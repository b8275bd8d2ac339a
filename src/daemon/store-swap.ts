import { readdir, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { syncFolder, writeFileAtomic } from '../system/atomic-file.ts'
import { enterPhase } from '../system/phase.ts'

const WORK = 'repair-store'
/** Says that the new store is whole, and where the old one goes. */
const MARK = 'whole.json'

/** Where a new store is made beside that of a home. */
export function newStoreFolder(home: string): string {
  return join(home, WORK)
}

/**
 * Puts the new store, which is whole, in the place of the old one; gives where the old one is.
 * Killed at any time, `finishSwap` goes on.
 */
export async function swapStores(home: string): Promise<string> {
  const aside = await freeName(home)
  await writeFileAtomic(join(home, WORK, MARK), JSON.stringify({ aside }))
  enterPhase('repair')
  await rename(join(home, 'store'), join(home, aside))
  enterPhase('repair')
  await finishSwap(home)
  return join(home, aside)
}

/**
 * Carries a swap on that was killed behind its first step; to be called before the store of a home is opened. Gives where the
 * old store is, or null when there was nothing to do: one that was killed before leaves the old store where it is.
 */
export async function finishSwap(home: string): Promise<string | null> {
  const mark = await readFile(join(home, WORK, MARK), 'utf8').catch(() => null)
  if (mark === null) return null
  const aside = asideOf(mark)
  const names = new Set(await readdir(home))
  if (aside === null || !names.has(aside)) return null
  if (!names.has('store')) {
    await rename(join(home, WORK, 'store'), join(home, 'store'))
    await syncFolder(home)
  }
  await rm(join(home, WORK), { recursive: true, force: true })
  return join(home, aside)
}

function asideOf(mark: string): string | null {
  return /^\{"aside":"(store\.damaged-\d+)"\}$/.exec(mark)?.[1] ?? null
}

async function freeName(home: string): Promise<string> {
  const taken = new Set(await readdir(home))
  for (let n = 1; ; n++) if (!taken.has(`store.damaged-${n}`)) return `store.damaged-${n}`
}
