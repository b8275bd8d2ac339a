import { mkdtemp, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import type { Manifest } from '../../schemas/index.ts'
import { formatReference, type KeyReference } from '../../src/core/reference.ts'
import { get } from '../../src/daemon/operations/get.ts'
import { codeOf, drain } from '../archive/helpers.ts'
import { newSettings, publishFiles, startSharer, withNetwork } from '../helpers/homes.ts'
import { noise } from '../system/noise.ts'

const big = noise(2 << 20, 1)
const files = {
  'code/run.sh': { run: '#!/bin/sh\n' },
  'data/in.txt': 'in\n',
  'data/big.dat': big,
  'expected/default/out.txt': 'out\n',
  '.repro/images/tools/oci-layout': '{}',
  '.repro/images/other/blob': noise(2 << 20, 2),
}
const apps: Manifest['apps'] = {
  default: {
    image: 'tools',
    command: ['code/run.sh'],
    params: {},
    inputs: { include: ['code/**', 'data/*.txt'], exclude: [] },
    out: 'out',
    outputs: [
      {
        path: 'out.txt',
        compare: 'exact',
        expect: { blake3: '0'.repeat(64), path: 'expected/default/out.txt' },
      },
    ],
    resources: {},
    network: 'none',
    env: {},
    modules: [],
    refuse: [],
  },
}
const digest = `sha256:${'0'.repeat(64)}`
const images: Manifest['images'] = {
  tools: {
    digest,
    config: digest,
    architecture: 'amd64',
    os: 'linux',
    layers: [{ digest, size: 0 }],
    origin: { kind: 'host', programs: ['sh'] },
  },
}

async function shared(): Promise<{
  ref: string
  settings: Awaited<ReturnType<typeof newSettings>>
  target: string
}> {
  const author = await newSettings({ listen: { host: '127.0.0.1', port: 0 } })
  const { key } = await publishFiles(author, files, { apps, images })
  const { listening } = await startSharer(author)
  const target = await mkdtemp(join(tmpdir(), 'repro-get-'))
  onTestFinished(() => rm(target, { recursive: true, force: true }))
  const ref: KeyReference = { kind: 'key', key }
  return {
    ref: formatReference(ref),
    settings: await newSettings({ peers: [listening!] }),
    target: join(target, 'copy'),
  }
}
const received = (
  records: readonly { action: string; data?: Record<string, unknown> | undefined }[],
) => records.find(r => r.action === 'fetch')?.data?.['totalReceivedBytes'] as number

test('a whole release is fetched, verified and written; then it needs no network', async () => {
  const { ref, settings, target } = await shared()
  const { records, result } = await drain(get(settings, ref, target))
  expect(result).toMatchObject({ complete: true, folder: target, apps: ['default'] })
  expect(received(records)).toBeGreaterThan(4 << 20)
  expect((await readFile(join(target, 'data/big.dat'))).equals(big)).toBe(true)
  expect((await stat(join(target, 'code/run.sh'))).mode & 0o111).not.toBe(0)

  const alone = withNetwork(settings, { peers: [] })
  const again = await drain(get(alone, `${ref}@1`, `${target}-again`))
  expect(again.result.complete).toBe(true)
  expect(again.records.some(r => r.action === 'connect')).toBe(false)
})

test('an app needs its inputs, its image and its expectations: nothing else comes over the wire', async () => {
  const { ref, settings, target } = await shared()
  const { records, result } = await drain(get(settings, ref, target, { app: 'default' }))
  expect(result.complete).toBe(false)
  expect(received(records)).toBeLessThan(1 << 20)
  expect(await readFile(join(target, '.repro/images/tools/oci-layout'), 'utf8')).toBe('{}')
  expect(await readFile(join(target, 'expected/default/out.txt'), 'utf8')).toBe('out\n')
  await expect(stat(join(target, 'data/big.dat'))).rejects.toThrow(/ENOENT/)
  const offline = get(settings, ref, `${target}-all`, { offline: true })
  expect(await codeOf(drain(offline))).toBe('NO_PEER')
})

test('patterns choose, and it is an error when nothing matches', async () => {
  const { ref, settings, target } = await shared()
  const { result } = await drain(get(settings, ref, target, { only: ['data/*.txt', 'nope/**'] }))
  expect(result.files).toBe(1)
  expect(await codeOf(drain(get(settings, ref, target, { only: ['nope/**'] })))).toBe('NOT_FOUND')
  expect(await codeOf(drain(get(settings, ref, target, { app: 'nope' })))).toBe('APP_UNKNOWN')
})
