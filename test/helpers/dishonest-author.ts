import { join } from 'node:path'
import Corestore from 'corestore'
import Hyperbee from 'hyperbee'
import Hyperdrive from 'hyperdrive'
import type { ReleaseRecord } from '../../schemas/index.ts'
import { openBlockStorage } from '../../src/archive/block-files/open-block-storage.ts'
import { readOwnBundle } from '../../src/archive/own-bundles.ts'
import { signRecord } from '../../src/archive/release-record.ts'
import { openSeed } from '../../src/system/seed.ts'

export type Tamper = (
  drive: Hyperdrive,
  sign: (fields: Omit<ReleaseRecord, 'signature'>) => Buffer,
) => Promise<void>

/** An author who holds the key and writes to the drive past `publish`, as a dishonest one would. Nobody else has the store open. */
export async function tamper(home: string, key: string, act: Tamper): Promise<void> {
  const seed = await openSeed(home)
  const keys = (await readOwnBundle(home, seed, key))!
  const store = new Corestore(await openBlockStorage(join(home, 'store')), {
    primaryKey: seed.derive('store'),
    unsafe: true,
  })
  const session = store.session()
  const bee = new Hyperbee(session.get({ keyPair: keys.keyPair, exclusive: true }), {
    keyEncoding: 'utf-8',
    valueEncoding: 'json',
    metadata: { contentFeed: null },
  })
  const drive = new Hyperdrive(session, null, { _db: bee })
  await drive.ready()
  await act(drive, fields => Buffer.from(signRecord(fields, keys.signingKey).text))
  await drive.close()
  await store.close()
}

/** The record of a release, as the drive has it now. */
export async function recordIn(drive: Hyperdrive, release: number): Promise<ReleaseRecord> {
  return JSON.parse(String(await drive.get(`/.repro/releases/${release}.json`))) as ReleaseRecord
}
