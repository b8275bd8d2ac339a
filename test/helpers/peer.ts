import messages from 'hypercore/lib/messages.js'
import type { WorkRecord } from '../../schemas/index.ts'
import { asReproError } from '../../src/core/errors.ts'
import type { OpenOptions } from '../../src/core/home.ts'
import type { KeyReference } from '../../src/core/reference.ts'
import type { Settings } from '../../src/core/settings.ts'
import { openHome } from '../../src/daemon/in-process-home.ts'

/** What a process of `startPeer` does. It prints its records as lines of JSON, and ends by itself. */
export type PeerJob =
  | { readonly verb: 'share'; readonly settings: Settings; readonly hostile: boolean }
  | {
      readonly verb: 'fetch'
      readonly settings: Settings
      readonly ref: KeyReference
      readonly network: OpenOptions['network']
    }

const print = (record: WorkRecord) => process.stdout.write(`${JSON.stringify(record)}\n`)

/** Changes a byte of every large block that this process sends: a peer that lies about the content. */
function lie(): void {
  const data = messages.wire.data as {
    encode(state: unknown, message: { block?: { value?: Buffer } }): void
  }
  const honest = data.encode
  data.encode = (state, message) => {
    const value = message.block?.value
    if (!value || value.length < 10_000) return honest(state, message)
    const changed = Buffer.from(value)
    changed[7] = changed[7]! ^ 1
    return honest(state, { ...message, block: { ...message.block, value: changed } })
  }
}

async function share(job: Extract<PeerJob, { verb: 'share' }>): Promise<void> {
  if (job.hostile) lie()
  const home = await openHome(job.settings)
  const stop = new AbortController()
  process.once('SIGTERM', () => stop.abort())
  const sharing = await home.share([], stop.signal)
  if (sharing.listening) print({ action: 'share', data: { listening: sharing.listening } })
  print({ action: 'result', data: { keys: sharing.keys } })
  for await (const record of sharing.records(stop.signal)) print(record)
  await home.close()
}

async function fetchAll(job: Extract<PeerJob, { verb: 'fetch' }>): Promise<void> {
  const home = await openHome(job.settings)
  try {
    const release = await home.open(job.ref, {
      network: job.network,
      history: 'cheap',
      onRecord: print,
    })
    const files = []
    for await (const entry of release.entries()) if (entry.type === 'file') files.push(entry)
    for await (const record of release.fetch(files)) print(record)
    print({ action: 'result', data: { ...release.identity } })
  } finally {
    await home.close()
  }
}

const job = JSON.parse(process.argv[2]!) as PeerJob
try {
  await (job.verb === 'share' ? share(job) : fetchAll(job))
} catch (error) {
  const { code, message, exitCode } = asReproError(error)
  print({ action: 'error', message, data: { code } })
  process.exitCode = exitCode
}
