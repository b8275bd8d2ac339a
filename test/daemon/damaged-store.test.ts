import { randomBytes } from 'node:crypto'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import type { DriveBundle } from '../../src/archive/drive-bundle.ts'
import { get } from '../../src/daemon/operations/get.ts'
import { publish } from '../../src/daemon/operations/publish.ts'
import { verify } from '../../src/daemon/operations/verify.ts'
import { codeOf, drain, openHome } from '../archive/helpers.ts'
import {
  newSettings,
  type PeerProcess,
  publishFiles,
  startSharer,
  withNetwork,
} from '../helpers/homes.ts'

const data = randomBytes(3 << 20)
const files = { 'data/one.dat': data, 'data/two.dat': randomBytes(1 << 20), 'a.txt': 'a\n' }

/** Turns a byte around of what the store's block files keep of `data`. */
async function damage(home: string, key: string): Promise<void> {
  const { store } = await openHome(home)
  const { drive } = (await store.open(key)) as DriveBundle
  const { storage } = (drive as unknown as { corestore: unknown }).corestore as {
    storage: { db: { flush(): Promise<void> } }
  }
  await storage.db.flush()
  await store.close()
  const folder = join(home, 'store', 'blocks')
  const names = (await readdir(folder)).filter(name => name.endsWith('.blk'))
  let hits = 0
  for (const name of names) {
    const bytes = await readFile(join(folder, name))
    const at = bytes.indexOf(data.subarray(100_000, 100_100))
    if (at < 0) continue
    hits++
    bytes[at] = bytes[at]! ^ 1
    await writeFile(join(folder, name), bytes)
  }
  expect(hits).toBe(1)
}

async function reader() {
  const author = await newSettings({ listen: { host: '127.0.0.1', port: 0 } })
  const { key } = await publishFiles(author, files)
  const sharer: PeerProcess = await startSharer(author)
  const folder = await mkdtemp(join(tmpdir(), 'repro-damage-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  const settings = await newSettings({ peers: [sharer.listening!], waitMs: 3000 })
  return { key, sharer, settings, folder: join(folder, 'copy') }
}

test('bytes that the disk lost are fetched again from a peer', async () => {
  const { key, settings, folder } = await reader()
  await drain(get(settings, `${key}@1`, folder))
  await damage(settings.home, key)
  const bad = await drain(verify(settings, key))
  expect(bad.result).toMatchObject({ changed: ['data/one.dat'], missing: [], partial: false })
  expect(await codeOf(drain(get(withNetwork(settings, { peers: [] }), key, `${folder}-a`)))).toBe(
    'BLOCK_DAMAGED',
  )

  await drain(get(settings, `${key}@1`, `${folder}-b`))
  expect((await readFile(join(`${folder}-b`, 'data/one.dat'))).equals(data)).toBe(true)
  expect((await drain(verify(settings, key))).result).toMatchObject({ changed: [], missing: [] })
})

test('a folder into which fetching was interrupted says so, and the same command completes it', async () => {
  const { key, settings, sharer, folder } = await reader()
  await drain(get(settings, key, `${folder}-part`, { only: ['a.txt', 'data/two.dat'] }))
  await sharer.kill()
  const alone = withNetwork(settings, { waitMs: 500 })
  expect(await codeOf(drain(get(alone, `${key}@1`, folder)))).toBe('NO_PEER')
  const error = await drain(verify(settings, folder)).catch(e => e)
  expect(error).toMatchObject({ code: 'PARTIAL', hints: [`repro get ${key}@1 ${folder}`] })
  expect(await drain(get(alone, key, folder, { only: ['a.txt'] }))).toMatchObject({
    result: { complete: false },
  })
  expect((await drain(verify(settings, folder))).result).toMatchObject({ partial: true, files: 1 })
})

test('a release that is held in part is told from one that is damaged', async () => {
  const { key, settings, folder } = await reader()
  await drain(get(settings, key, folder, { only: ['a.txt'] }))
  const { result } = await drain(verify(settings, key))
  expect(result).toMatchObject({ partial: true, files: 1, changed: [] })
  expect(result.missing).toEqual(['data/one.dat', 'data/two.dat'])
  const never = await newSettings()
  const nothing = await drain(verify(never, key)).catch(e => e)
  expect(nothing).toMatchObject({ exitCode: 4 })
  expect(JSON.stringify(nothing)).not.toContain('--offline')
})

test('an author without a peer heals the own store from the folder: publish --rehash', async () => {
  const settings = await newSettings()
  const folder = await mkdtemp(join(tmpdir(), 'repro-heal-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  await mkdir(join(folder, 'data'))
  await writeFile(join(folder, 'repro.yaml'), 'repro: 1\nname: heal\n')
  await writeFile(join(folder, 'data/one.dat'), data)
  const faults = async (ref: string) => {
    const { result } = await drain(verify(settings, ref))
    return [...result.changed, ...result.missing]
  }
  const { key } = (await drain(publish(settings, folder))).result.record
  await damage(settings.home, key)
  expect(await faults(key)).toEqual(['data/one.dat'])
  const same = (await drain(publish(settings, folder, { rehash: true }))).result
  expect(same).toMatchObject({ published: false, record: { release: 1 } })
  expect(await faults(key)).toEqual([])

  await damage(settings.home, key)
  await writeFile(join(folder, 'data/one.dat'), Buffer.concat([data, Buffer.from('more')]))
  const longer = (await drain(publish(settings, folder, { rehash: true }))).result
  expect(longer.storedBytes).toBeLessThan(data.length / 4)
  expect([...(await faults(`${key}@1`)), ...(await faults(`${key}@2`))]).toEqual([])
}, 30_000)
