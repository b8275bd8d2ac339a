import { join } from 'node:path'
import Corestore from 'corestore'
import Hyperdrive from 'hyperdrive'
import { expect, onTestFinished, test } from 'vitest'
import { checkRecord } from '../../src/archive/release-record.ts'
import { parseKey } from '../../src/core/reference.ts'
import { blake3 } from '../../src/system/blake3.ts'
import { all, type Files, openHome, publish, temporaryFolder } from './helpers.ts'

const big = Buffer.alloc(700_000, 'stock')
const files: Files = {
  'README.md': '# hello\n',
  'code/run.sh': { run: '#!/bin/sh\n' },
  'data/big.bin': big,
  'data/twin.bin': big,
  'data/empty': '',
  'data/link': { link: '../README.md' },
  '.repro/images/tools/oci-layout': '{"imageLayoutVersion":"1.0.0"}',
}

test('a stock Hyperdrive client sees the author’s tree byte for byte', async () => {
  const author = await openHome()
  const bundle = await author.store.create()
  await publish(bundle, { ...files, 'gone.txt': 'only in release 1' })
  const { record } = await publish(bundle, files)
  const store = new Corestore(join(await temporaryFolder(), 'stock'))
  const drive = new Hyperdrive(store.session(), Buffer.from(parseKey(bundle.key)))
  await drive.ready()
  const left = author.store.replicate(true)
  const right = store.replicate(false)
  for (const stream of [left, right]) stream.on('error', () => undefined)
  left.pipe(right).pipe(left)
  onTestFinished(async () => {
    left.destroy()
    right.destroy()
    await drive.close()
    await store.close()
  })
  await drive.core.update({ wait: true })

  const listed = (await all(drive.list('/')))
    .map(entry => entry.key)
    .filter(key => !/^\/\.repro\/(index|releases|manifest)/.test(key))
  expect(listed).toEqual(
    Object.keys(files)
      .map(path => `/${path}`)
      .sort(),
  )
  for (const [path, content] of Object.entries(files)) {
    const value = (await drive.entry(`/${path}`))?.value as {
      executable: boolean
      linkname: string | null
    }
    if (typeof content === 'object' && 'link' in content) {
      expect(value.linkname).toBe(content.link)
      continue
    }
    const run = typeof content === 'object' && 'run' in content
    const bytes = Buffer.from(run ? content.run : (content as string | Uint8Array))
    expect((await drive.get(`/${path}`))?.equals(bytes)).toBe(true)
    expect(value.executable).toBe(run)
  }
  const blobOf = async (path: string) => ((await drive.entry(path))!.value as { blob: object }).blob
  expect(await blobOf('/data/big.bin')).toEqual(await blobOf('/data/twin.bin'))
  const text = String(await drive.get('/.repro/releases/2.json'))
  expect(await checkRecord(text, { key: bundle.key, release: 2 })).toEqual(record)
  expect(`blake3:${blake3((await drive.get('/.repro/manifest.json'))!)}`).toBe(record.contentHash)

  const first = drive.checkout(
    (JSON.parse(String(await drive.get('/.repro/releases/1.json'))) as { driveVersion: number })
      .driveVersion,
  )
  expect(String(await first.get('/gone.txt'))).toBe('only in release 1')
  await first.close()
})
