import { cp, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { Home } from '../../src/core/home.ts'
import type { HostPort, Settings } from '../../src/core/settings.ts'
import { exportKey, importKey } from '../../src/daemon/operations/key.ts'
import { remove } from '../../src/daemon/operations/rm.ts'
import { blake3 } from '../../src/system/blake3.ts'
import { codeOf, prepare, temporaryFolder } from '../archive/helpers.ts'
import { newSettings, openTestHome, withNetwork } from '../helpers/homes.ts'

const listen = { host: '127.0.0.1', port: 0 }

async function publish(home: Home, content: string, key: string | null) {
  const work = home.publish(await prepare({ file: content }), { key })
  for (;;) {
    const { done, value } = await work.next()
    if (done) return value.record
  }
}

/** An author with three releases, a copy of his store after the first, and a peer that has the first only. */
async function staleWorld() {
  const settings = await newSettings({ listen })
  const first = await openTestHome(settings)
  const { key } = await publish(first, '1', null)
  const sharing = await first.share([])
  const reading = await newSettings({ listen, peers: [sharing.listening!], waitMs: 8000 })
  const peer = await openTestHome(reading)
  const release = await peer.open({ kind: 'key', key }, { network: 'newest', history: 'all' })
  const files = []
  for await (const entry of release.entries()) if (entry.type === 'file') files.push(entry)
  for await (const _ of release.fetch(files));
  await first.close()
  const backup = join(await temporaryFolder(), 'store')
  await cp(join(settings.home, 'store'), backup, { recursive: true })
  const second = await openTestHome(settings)
  await publish(second, '2', key)
  await publish(second, '3', key)
  await second.close()
  const { listening } = await peer.share([])
  return { settings, key, backup, stale: listening! }
}

const towards = (settings: Settings, peer: HostPort) =>
  withNetwork(settings, { listen: null, peers: [peer], waitMs: 3000 })

test('a restored store is not written while the only peer has less than the home remembers', async () => {
  const { settings, key, backup, stale } = await staleWorld()
  await rm(join(settings.home, 'store'), { recursive: true })
  await cp(backup, join(settings.home, 'store'), { recursive: true })
  await rm(join(settings.home, 'store', 'CORESTORE'))
  const home = await openTestHome(towards(settings, stale))
  expect(await codeOf(publish(home, 'other', key))).toBe('SYNC_NEEDED')
  expect(await codeOf(publish(home, 'other', key))).toBe('SYNC_NEEDED')
  const log = await home.log({ kind: 'key', key }, { network: 'never', history: 'all' })
  expect(log).toHaveLength(1)
}, 60_000)

test('after rm the key is not written while the only peer has less than the home remembers', async () => {
  const { settings, key, stale } = await staleWorld()
  const removing = remove(withNetwork(settings, { listen: null }), key, {
    confirm: async () => true,
  })
  while (!(await removing.next()).done);
  const home = await openTestHome(towards(settings, stale))
  expect(await codeOf(publish(home, 'other', key))).toBe('SYNC_NEEDED')
}, 60_000)

test.each([null, 'open sesame'])(
  'a key file says how far the history went, and less of it is not built upon (passphrase: %s)',
  async passphrase => {
    const { settings, key, stale } = await staleWorld()
    const file = join(await temporaryFolder(), 'study.key')
    await exportKey(settings, key, file, passphrase)
    expect(await readFile(file, 'utf8')).toMatch(/^history: 3 [1-9]\d* [1-9]\d*$/m)
    const there = await newSettings()
    await importKey(there, file, async () => passphrase)
    const home = await openTestHome(towards(there, stale))
    expect(await codeOf(publish(home, 'other', key))).toBe('SYNC_NEEDED')
    await home.close()

    const author = await openTestHome(settings)
    const { listening } = await author.share([])
    const again = await openTestHome(towards(there, listening!))
    expect((await publish(again, '4', key)).release).toBe(4)
  },
  60_000,
)

/** A key file with the checksum that its lines ask for. */
function summed(text: string): string {
  const lines = text.split('\n').filter(line => line !== '' && !/^(#|checksum)/.test(line))
  return `${[...lines, `checksum: ${blake3(`${lines.join('\n')}\n`).slice(0, 16)}`].join('\n')}\n`
}

test('a sealed key file of which the history was cut or changed does not open', async () => {
  const settings = await newSettings()
  const home = await openTestHome(settings)
  const { key } = await publish(home, '1', null)
  await home.close()
  const file = join(await temporaryFolder(), 'study.key')
  await exportKey(settings, key, file, 'open sesame')
  const text = await readFile(file, 'utf8')
  const there = await newSettings()
  expect(summed(text)).toBe(text.replace(/^#.*\n/gm, ''))
  await writeFile(file, summed(text.replace(/^history: .*\n/m, '')))
  expect(await codeOf(importKey(there, file, async () => 'open sesame'))).toBe('KEY_INVALID')
  await writeFile(file, summed(text.replace(/^history: .*$/m, 'history: 0 0 0')))
  expect(await codeOf(importKey(there, file, async () => 'open sesame'))).toBe('KEY_INVALID')
})
