import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import type { Manifest } from '../../schemas/index.ts'
import { canonicalJson } from '../../src/core/canonical-json.ts'
import { blake3 } from '../../src/system/blake3.ts'
import { Person, share } from '../helpers/cli.ts'
import { recordIn, tamper } from '../helpers/dishonest-author.ts'
import { authorOf } from './bundles.ts'

it('a release whose manifest mounts a folder of the host: exit 5, and nothing is fetched or run', async () => {
  const { author, folder } = await authorOf()
  const { result: honest } = await author.json(['publish', folder])
  await tamper(author.home, honest.key, async (drive, sign) => {
    const manifest = JSON.parse(String(await drive.get('/.repro/manifest.json'))) as Manifest
    manifest.apps['default']!.out = 'o,src=/etc,dst=/repro/h'
    const text = canonicalJson(manifest)
    await drive.put('/.repro/manifest.json', Buffer.from(text))
    const { signature: _, ...record } = await recordIn(drive, 1)
    const contentHash = `blake3:${blake3(text)}`
    const bytes = sign({ ...record, release: 2, contentHash, driveVersion: drive.version })
    await drive.put('/.repro/releases/2.json', bytes)
  })
  const { peer } = await share(author)
  const reader = new Person(join(author.folder, 'reader'), { env: { REPRO_PEERS: peer } })
  const commands = [
    ['run', `${honest.key}@2`, '--runtime', 'podman'],
    ['run', `${honest.key}@2`, '--runtime', 'podman', '--plan'],
    ['run', `${honest.key}@2`],
    ['get', `${honest.key}@2`, './there'],
    ['inspect', `${honest.key}@2`],
  ]
  for (const command of commands) {
    const { result, records } = await reader.json(command, 5)
    expect([command, result.code]).toEqual([command, 'RECORD_INVALID'])
    expect(result.message).toContain('apps.default.out')
    expect(records.map(record => record.action)).not.toContain('progress')
  }
  for (const place of ['home/runs', 'cache/stages', 'cache/rootfs', 'there'])
    expect(await readdir(join(reader.folder, place)).catch(() => [])).toEqual([])
  expect((await reader.repro('inspect', `${honest.key}@1`)).code).toBe(0)
})
