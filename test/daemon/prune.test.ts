import { expect, test } from 'vitest'
import type { WorkRecord } from '../../schemas/index.ts'
import { prune } from '../../src/daemon/operations/prune.ts'
import { changePins } from '../../src/daemon/pins.ts'
import { prepare } from '../archive/helpers.ts'
import { newSettings, openTestHome, withNetwork } from '../helpers/homes.ts'

const listen = { host: '127.0.0.1', port: 0 }

test('a pinned release of which only a part is here loses nothing of it', async () => {
  const many = Array.from({ length: 3000 }, (_, i) => [`a/${i}`, `${i}`])
  const wanted = [1, 2, 3].map(i => [`z/${i}`, String(i).repeat(200_000)])
  const author = await openTestHome(await newSettings({ listen }))
  const work = author.publish(await prepare(Object.fromEntries([...many, ...wanted])), {
    key: null,
  })
  let step = await work.next()
  while (!step.done) step = await work.next()
  const { key } = step.value.record
  const { listening } = await author.share([])

  const settings = await newSettings({ peers: [listening!], waitMs: 8000 })
  const reader = await openTestHome(settings)
  const release = await reader.open({ kind: 'key', key }, { network: 'newest', history: 'cheap' })
  const files = []
  for await (const entry of release.entries('z')) if (entry.type === 'file') files.push(entry)
  for await (const _ of release.fetch(files));
  await reader.close()
  await author.close()
  await changePins(settings.home, () => true, [{ key, release: 1 }])

  const alone = withNetwork(settings, { peers: [] })
  const records: WorkRecord[] = []
  const pruning = prune(alone, null)
  let pruned = await pruning.next()
  for (; !pruned.done; pruned = await pruning.next()) records.push(pruned.value)
  expect(pruned.value.bundles).toEqual([])
  expect(records.map(one => one.message)).toEqual([
    expect.stringMatching(/not all files of release 1/),
  ])
  const again = await openTestHome(alone)
  const kept = await again.open({ kind: 'key', key }, { network: 'never', history: 'cheap' })
  for (const file of files) {
    const parts: Uint8Array[] = []
    for await (const bytes of kept.read(file)) parts.push(bytes)
    expect(Buffer.concat(parts).length).toBe(200_000)
  }
}, 60_000)
