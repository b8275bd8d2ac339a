import { access } from 'node:fs/promises'
import { join } from 'node:path'
import { listOwnBundles, noteMustSync } from './own-bundles.ts'

/**
 * A store without the file that binds it to its disk was brought here from elsewhere, by a person who took that file away.
 * The place it came from may have written more since: its own bundles ask their peers before they are written.
 */
export async function noteAdoptedStore(home: string): Promise<void> {
  const store = join(home, 'store')
  if (!(await exists(join(store, 'db'))) || (await exists(join(store, 'CORESTORE')))) return
  for (const key of await listOwnBundles(home)) await noteMustSync(home, key, true)
}

async function exists(path: string): Promise<boolean> {
  return await access(path).then(
    () => true,
    () => false,
  )
}
