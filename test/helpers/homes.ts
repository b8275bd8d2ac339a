import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { onTestFinished } from 'vitest'
import type { Manifest, ReleaseRecord, WorkRecord } from '../../schemas/index.ts'
import type { Home } from '../../src/core/home.ts'
import type { HostPort, NetworkSettings, Settings } from '../../src/core/settings.ts'
import { openHome } from '../../src/daemon/in-process-home.ts'
import { type Files, prepare } from '../archive/helpers.ts'
import type { PeerJob } from './peer.ts'

/** Settings of an empty home that is gone when the test is finished. No network unless given. */
export async function newSettings(network: Partial<NetworkSettings> = {}): Promise<Settings> {
  const folder = await mkdtemp(join(tmpdir(), 'repro-home-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  return {
    home: join(folder, 'home'),
    cache: join(folder, 'cache'),
    network: { bootstrap: 'none', peers: [], listen: null, waitMs: 8000, ...network },
    runtimeOrder: [],
    origins: {},
  }
}

/** The same home, with another network. */
export function withNetwork(settings: Settings, network: Partial<NetworkSettings>): Settings {
  return { ...settings, network: { ...settings.network, ...network } }
}

/** Opens a home that is closed when the test is finished, at the latest. */
export async function openTestHome(settings: Settings): Promise<Home> {
  const home = await openHome(settings)
  onTestFinished(() => home.close())
  return home
}

/** Publishes files to a home that nobody has open. */
export async function publishFiles(
  settings: Settings,
  files: Files,
  { key = null, ...manifest }: Partial<Manifest> & { readonly key?: string | null } = {},
): Promise<ReleaseRecord> {
  const home = await openHome(settings)
  try {
    const work = home.publish(await prepare(files, manifest), { key })
    for (;;) {
      const step = await work.next()
      if (step.done) return step.value.record
    }
  } finally {
    await home.close()
  }
}

/** Another process with a home. */
export interface PeerProcess {
  readonly child: ChildProcess
  /** The direct TCP address, of a sharing one that listens. */
  readonly listening: HostPort | null
  readonly records: readonly WorkRecord[]
  /** Settles at the first record for which `test` holds; rejects when the process ends before. */
  until(test: (record: WorkRecord) => boolean): Promise<WorkRecord>
  /** The exit code, once it has ended. */
  readonly ended: Promise<number | null>
  kill(signal?: NodeJS.Signals): Promise<void>
}

const loader = fileURLToPath(new URL('./typescript.mjs', import.meta.url))
const script = fileURLToPath(new URL('./peer.ts', import.meta.url))

/** Starts a job in another process; killed when the test is finished. */
export function startPeer(job: PeerJob): PeerProcess {
  const child = spawn(process.execPath, ['--import', loader, script, JSON.stringify(job)], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const records: WorkRecord[] = []
  const waiters = new Set<() => void>()
  let stderr = ''
  let over = false
  const wake = () => {
    for (const waiter of waiters) waiter()
  }
  child.stderr!.setEncoding('utf8').on('data', chunk => {
    stderr += chunk
  })
  createInterface({ input: child.stdout! }).on('line', line => {
    records.push(JSON.parse(line))
    wake()
  })
  const ended = new Promise<number | null>(resolve => {
    child.once('close', code => {
      over = true
      wake()
      resolve(code)
    })
  })
  const kill = async (signal: NodeJS.Signals = 'SIGKILL') => {
    child.kill(signal)
    await ended
  }
  onTestFinished(() => kill())
  return {
    child,
    records,
    ended,
    kill,
    get listening() {
      return (records.find(r => r.action === 'share')?.data?.['listening'] ??
        null) as HostPort | null
    },
    async until(test) {
      for (;;) {
        const found = records.find(test)
        if (found) return found
        if (over) throw new Error(`the peer ended: ${stderr}\n${JSON.stringify(records.at(-1))}`)
        await new Promise<void>(resolve => {
          waiters.add(resolve)
        })
        waiters.clear()
      }
    },
  }
}

/** Starts a process that serves all bundles of a home, and waits until peers can come. */
export async function startSharer(settings: Settings, hostile = false): Promise<PeerProcess> {
  const peer = startPeer({ verb: 'share', settings, hostile })
  await peer.until(record => record.action === 'result')
  return peer
}
