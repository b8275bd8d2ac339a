import { expect, test } from 'vitest'
import { get } from '../../src/daemon/operations/get.ts'
import { share } from '../../src/daemon/operations/share.ts'
import { drain, temporaryFolder } from '../archive/helpers.ts'
import { newSettings, publishFiles, startPeer, startSharer, withNetwork } from '../helpers/homes.ts'
import { slowWire } from '../helpers/slow-wire.ts'
import { noise } from '../system/noise.ts'

const loopback = { host: '127.0.0.1', port: 0 }
const files = {
  'a.txt': 'a\n',
  'b.dat': noise(3 << 20, 1),
  'c.dat': noise(5 << 20, 2),
}

test('who shares a part is told so, and who gets it hears how much came, and how long nothing did', async () => {
  const author = await newSettings({ listen: loopback })
  const { key } = await publishFiles(author, files)
  const { listening } = await startSharer(author)
  const partial = await newSettings({ peers: [listening!], listen: loopback })
  await drain(get(partial, key, await temporaryFolder(), { only: ['*.txt', 'b.dat'] }))

  const abort = new AbortController()
  const work = share(withNetwork(partial, { peers: [] }), [], { signal: abort.signal })
  for await (const record of work) {
    if (record.action !== 'warning' || !record.message?.includes('a part')) continue
    expect(record.message).toContain(`only a part of ${key}@1 is here and shared: 2 of 3 files`)
    expect(record.hints).toEqual([`to share all of it, first: repro get ${key}@1 <dir>`])
    break
  }
  abort.abort()

  const sharer = await startSharer(withNetwork(partial, { peers: [] }))
  const reader = await newSettings({ peers: [sharer.listening!], waitMs: 3000 })
  const folder = await temporaryFolder()
  const error = await drain(get(reader, key, folder)).catch(e => e)
  expect(error).toMatchObject({ code: 'NO_PEER' })
  expect(error.message).toMatch(/sent what is needed of .* within [3-9]\.\d s/)
  expect(error.message).toContain('2 of 3 files are here; 1 connected peer, holding a part only')
  expect(error.hints[0]).toContain('it carries on')
})

test('a peer that went away is told from one that never was', async () => {
  const author = await newSettings({ listen: loopback })
  const { key } = await publishFiles(author, files)
  const sharer = await startSharer(author)
  const wire = await slowWire(sharer.listening!, 2 << 20)
  const settings = await newSettings({ peers: [wire.address], waitMs: 2500 })
  const ref = { kind: 'key', key } as const
  const reader = startPeer({ verb: 'fetch', settings, ref, network: 'missing' })
  await reader.until(record => record.action === 'progress' && (record.bytes ?? 0) > 1 << 20)
  await sharer.kill()
  const error = await reader.until(record => record.action === 'error')
  expect(error.message).toMatch(/went away after [1-9]\.\d MB, and none came for [2-9]\.\d s/)
  expect(error.message).toMatch(/[0-3] of 3 files are here/)
})

test('who shares all of it, or a bundle of their own, hears of no part', async () => {
  const author = await newSettings({ listen: loopback })
  const { key } = await publishFiles(author, files)
  const { listening } = await startSharer(author)
  const whole = await newSettings({ peers: [listening!], listen: loopback })
  await drain(get(whole, key, await temporaryFolder()))
  const abort = new AbortController()
  const work = drain(share(withNetwork(whole, { peers: [] }), [], { signal: abort.signal }))
  setTimeout(() => abort.abort(), 1500)
  const { records } = await work
  expect(records.filter(record => record.message?.includes('a part'))).toEqual([])
})
