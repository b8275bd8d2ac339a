import type { Bundle } from '../archive/store.ts'
import type { Sharing } from '../core/home.ts'
import { formatHostPort } from '../core/host-port.ts'
import { RecordChannel } from '../core/record-channel.ts'
import type { HostPort } from '../core/settings.ts'
import { count, formatBytes } from '../core/text.ts'
import type { Membership, Network } from './network.ts'

const PROGRESS_MS = 1000
const ANNOUNCE_MS = 10_000

/** A Sharing to which bundles that are published later can be added. */
export interface OpenSharing extends Sharing {
  add(bundle: Bundle): Promise<void>
}

/**
 * Serves bundles on every route of `network`, until closed or `signal` fires. Returns when the DHT knows of each,
 * or after ten seconds, with a warning record. Throws LISTEN_FAILED, INTERRUPTED.
 */
export async function startSharing(
  network: Network,
  bundles: readonly Bundle[],
  listen: HostPort | null,
  signal?: AbortSignal,
): Promise<OpenSharing> {
  signal?.throwIfAborted()
  const channel = new RecordChannel()
  const memberships = new Map<string, Membership>()
  const listener = listen === null ? null : await network.listen(listen)
  const listening = listener?.address ?? null
  const stopListening = network.onRecord(record => channel.push(record))
  if (listening)
    channel.push({
      action: 'share',
      status: 'ok',
      subject: formatHostPort(listening),
      message: `direct peers: --peer ${formatHostPort(listening)}`,
      data: { listening },
    })

  let closed = false
  let lastSent = 0
  const timer = setInterval(() => {
    const { sent, peers } = network
    if (sent === lastSent) return
    lastSent = sent
    channel.push({
      action: 'progress',
      subject: 'share',
      message: `sent ${formatBytes(sent)} to ${count('peer', peers)}`,
      bytes: sent,
      peers,
    })
  }, PROGRESS_MS)

  const add = async (bundle: Bundle): Promise<void> => {
    if (closed || memberships.has(bundle.key)) return
    const membership = network.join(bundle, { announce: true })
    memberships.set(bundle.key, membership)
    const announced = await inTime(membership.announced, signal)
    signal?.throwIfAborted()
    channel.push(
      announced
        ? { action: 'announce', status: 'ok', subject: bundle.key, message: 'announced' }
        : {
            action: 'announce',
            status: 'warn',
            subject: bundle.key,
            message: listening
              ? `no DHT node knows of it: peers reach it only at ${formatHostPort(listening)}`
              : 'no DHT node knows of it, and no direct address is open: nobody can find it',
            ...(listening ? {} : { hints: ['repro share --listen 0.0.0.0:4977'] }),
          },
    )
  }
  const close = async (): Promise<void> => {
    closed = true
    clearInterval(timer)
    signal?.removeEventListener('abort', onAbort)
    for (const membership of memberships.values()) membership.leave()
    listener?.close()
    stopListening()
    channel.close()
  }
  const onAbort = () => void close()
  signal?.addEventListener('abort', onAbort, { once: true })
  try {
    await Promise.all(bundles.map(add))
  } catch (error) {
    await close()
    throw error
  }
  return {
    get keys() {
      return [...memberships.keys()]
    },
    listening,
    records: reader => channel.read(reader),
    close,
    add,
  }
}

/** False when it takes longer than a person would wait to be told. */
async function inTime(work: Promise<boolean>, signal?: AbortSignal): Promise<boolean> {
  let stop: () => void = () => undefined
  const late = new Promise<boolean>(resolve => {
    const timer = setTimeout(resolve, ANNOUNCE_MS, false)
    const onAbort = () => resolve(false)
    signal?.addEventListener('abort', onAbort, { once: true })
    stop = () => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', onAbort)
    }
  })
  return await Promise.race([work, late]).finally(stop)
}
