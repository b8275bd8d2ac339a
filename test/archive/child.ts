/** Run as a process of its own by tests: `publish`, `fill` (a disk), `hold` (a store). Speaks JSON lines. */

import { lstatSync } from 'node:fs'
import { readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { FileEntry, IndexEntry } from '../../schemas/index.ts'
import { buildIndex } from '../../src/archive/content-index.ts'
import { openStore } from '../../src/archive/store.ts'
import { verifyRelease } from '../../src/archive/verify.ts'
import { canonicalJson } from '../../src/core/canonical-json.ts'
import type { PreparedBundle } from '../../src/core/prepared-bundle.ts'
import { blake3 } from '../../src/system/blake3.ts'
import { formatFileState } from '../../src/system/file-state.ts'
import { openSeed } from '../../src/system/seed.ts'

/** Once so much was read, some of it is written: at most two groups of blocks wait for that. */
const SURELY_STORED_BYTES = 32 << 20

const say = (value: object) => process.stdout.write(`${JSON.stringify(value)}\n`)
const wait = () => new Promise<never>(() => setInterval(() => undefined, 1000))

async function prepareFolder(folder: string): Promise<PreparedBundle> {
  const all: IndexEntry[] = []
  for (const path of (await readdir(folder)).sort()) {
    const bytes = await readFile(join(folder, path))
    all.push({ path, type: 'file', size: bytes.length, blake3: blake3(bytes) })
  }
  const { root, segments } = buildIndex(all)
  const manifest = {
    format: 0 as const,
    name: 'child',
    authors: [],
    keywords: [],
    cites: [],
    images: {},
    apps: {},
    index: root,
  }
  const manifestText = canonicalJson(manifest)
  const contentHash = `blake3:${blake3(manifestText)}`
  return {
    identity: { key: null, release: null, tag: null, contentHash, date: null },
    manifest,
    manifestText,
    all,
    segments,
    locate: (file: FileEntry) => join(folder, file.path),
    source: ({ path, size }: FileEntry) => {
      const absolute = join(folder, path)
      return { path, absolute, size, state: formatFileState(lstatSync(absolute, { bigint: true })) }
    },
    async *entries() {},
    async *fetch() {},
    async *read() {},
  }
}

async function publish(home: string, folder: string, key: string, stopAt: string) {
  const store = await openStore(home, await openSeed(home))
  const bundle = key === 'new' ? await store.create() : await store.open(key)
  say({ key: bundle.key })
  const work = bundle.publish(await prepareFolder(folder), {})
  for (;;) {
    const { done, value } = await work.next()
    if (done) say({ result: value })
    if (done) break
    if (`${value.action} ${value.status ?? value.subject}` !== stopAt) continue
    if (value.action === 'progress' && (value.bytes ?? 0) < SURELY_STORED_BYTES) continue
    say({ stopped: stopAt })
    await wait()
  }
  await store.close()
}

/** Publishes to a disk that is too small, makes room, and publishes again. */
async function fill(disk: string, folder: string) {
  const home = join(disk, 'home')
  const filler = join(disk, 'filler')
  await writeFile(filler, Buffer.alloc(130 << 20))
  const seed = await openSeed(home)
  const prepared = await prepareFolder(folder)
  const attempt = async () => {
    let store: Awaited<ReturnType<typeof openStore>> | null = null
    try {
      store = await openStore(home, seed)
      const [known] = await store.list()
      const bundle = known ? await store.open(known.key) : await store.create()
      const work = bundle.publish(prepared, {})
      while (!(await work.next()).done);
      const release = await bundle.openRelease({}, { history: 'all', stallMs: 0 })
      const check = verifyRelease(release)
      for (;;) {
        const { done, value } = await check.next()
        if (done)
          return { release: release.record.release, changed: value.changed, missing: value.missing }
      }
    } catch (error) {
      return { code: (error as { code?: string }).code, message: (error as Error).message }
    } finally {
      await store?.close().catch(() => undefined)
    }
  }
  say({ attempt: await attempt() })
  await rm(filler)
  say({ attempt: await attempt() })
}

async function hold(home: string) {
  await openStore(home, await openSeed(home))
  say({ holding: true })
  await wait()
}

const [verb, ...args] = process.argv.slice(2)
if (verb === 'publish') await publish(args[0]!, args[1]!, args[2]!, args[3]!)
else if (verb === 'fill') await fill(args[0]!, args[1]!)
else if (verb === 'hold') await hold(args[0]!)
else throw new Error(`unknown verb ${verb}`)
