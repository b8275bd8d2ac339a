import { connect, createServer, type Server, type Socket } from 'node:net'
import NoiseSecretStream, { type NoiseKeyPair } from '@hyperswarm/secret-stream'
import { fail } from '../core/errors.ts'
import { formatHostPort } from '../core/host-port.ts'
import type { HostPort } from '../core/settings.ts'
import type { PeerConnections } from './peer-connections.ts'

const DIAL_MS = 8000
const HANDSHAKE_MS = 8000
const FIRST_RETRY_MS = 500
const LAST_RETRY_MS = 30_000
const MAX_INCOMING = 256

/** Keeps one direct TCP connection to a peer, dialling again when it ends. */
export class TcpDialer {
  readonly address: HostPort
  readonly #keyPair: NoiseKeyPair
  readonly #connections: PeerConnections
  #socket: Socket | null = null
  #timer: NodeJS.Timeout | undefined
  #retryMs = FIRST_RETRY_MS
  #lastError: string | null = null
  #closed = false

  constructor(address: HostPort, keyPair: NoiseKeyPair, connections: PeerConnections) {
    this.address = address
    this.#keyPair = keyPair
    this.#connections = connections
    this.#dial()
  }

  /** Why it could not be reached the last time; null when it was, or is still being tried for the first time. */
  get lastError(): string | null {
    return this.#lastError
  }

  close(): void {
    this.#closed = true
    clearTimeout(this.#timer)
    this.#socket?.destroy()
  }

  #dial(): void {
    if (this.#closed) return
    const socket = connect(this.address.port, this.address.host)
    this.#socket = socket
    const timer = setTimeout(() => socket.destroy(new Error('no answer')), DIAL_MS)
    socket.on('error', error => {
      this.#lastError = describe(error)
    })
    socket.once('connect', () => void this.#greet(socket))
    socket.once('close', () => {
      clearTimeout(timer)
      if (this.#closed) return
      this.#timer = setTimeout(() => this.#dial(), this.#retryMs)
      this.#retryMs = Math.min(this.#retryMs * 2, LAST_RETRY_MS)
    })
    socket.once('connect', () => clearTimeout(timer))
  }

  async #greet(socket: Socket): Promise<void> {
    const outcome = await handshake(socket, true, this.#keyPair, this.#connections)
    this.#lastError = outcome
    if (outcome === null) this.#retryMs = FIRST_RETRY_MS
  }
}

/** Accepts direct TCP peers. */
export interface TcpListener {
  /** Where it really listens: port 0 was replaced by the one that the system chose. */
  readonly address: HostPort
  close(): void
}

/** Listens for direct TCP peers at `where`. Throws LISTEN_FAILED. */
export async function listenTcp(
  where: HostPort,
  keyPair: NoiseKeyPair,
  connections: PeerConnections,
): Promise<TcpListener> {
  const sockets = new Set<Socket>()
  const server = createServer(socket => {
    sockets.add(socket)
    socket.on('error', () => undefined) // the connection's end is told by 'close'
    socket.once('close', () => sockets.delete(socket))
    void handshake(socket, false, keyPair, connections)
  })
  server.maxConnections = MAX_INCOMING
  await listening(server, where)
  const bound = server.address()
  const port = typeof bound === 'object' && bound !== null ? bound.port : where.port
  return {
    address: { host: where.host, port },
    close: () => {
      server.close()
      for (const socket of sockets) socket.destroy()
    },
  }
}

async function listening(server: Server, where: HostPort): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(where.port, where.host, () => {
      server.off('error', reject)
      resolve()
    })
  }).catch((error: NodeJS.ErrnoException) =>
    fail('LISTEN_FAILED', `cannot listen at ${formatHostPort(where)}: ${describe(error)}`, {
      hints: ['choose another address or port: --listen 127.0.0.1:0 takes any free port'],
      data: { address: formatHostPort(where), code: error.code },
      cause: error,
    }),
  )
  server.on('error', () => undefined) // of single connections: they are told by their own events
}

/** Speaks Noise over a socket and hands it over. Null when it went well, else why it did not. */
async function handshake(
  socket: Socket,
  isInitiator: boolean,
  keyPair: NoiseKeyPair,
  connections: PeerConnections,
): Promise<string | null> {
  socket.setNoDelay(true)
  socket.setKeepAlive(true, 10_000)
  const stream = new NoiseSecretStream(isInitiator, socket, { keyPair })
  let error: string | null = null
  stream.on('error', (cause: Error) => {
    error = describe(cause)
  })
  stream.once('close', () => socket.destroy())
  const timer = setTimeout(() => stream.destroy(new Error('no answer')), HANDSHAKE_MS)
  const address = `${socket.remoteAddress}:${socket.remotePort}`
  const opened = await stream.opened.finally(() => clearTimeout(timer))
  if (!opened) return error ?? 'it ended the connection: is it a repro peer?'
  if (stream.remotePublicKey?.equals(keyPair.publicKey)) {
    stream.destroy()
    return 'it is this home itself'
  }
  return connections.add(stream, 'tcp', address)
    ? null
    : 'it was dropped for what it sent, or did not send'
}

const WORDS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'connection reset',
  EHOSTUNREACH: 'no route to the host',
  ENETUNREACH: 'no route to the network',
  ENOTFOUND: 'no such host',
  EAI_AGAIN: 'the name server does not answer',
  ETIMEDOUT: 'no answer',
  EADDRINUSE: 'the port is in use',
  EADDRNOTAVAIL: 'this host has no such address',
  EACCES: 'permission denied',
}

function describe(error: Error): string {
  const code = (error as NodeJS.ErrnoException).code
  return (code !== undefined && WORDS[code]) || error.message || code || 'failed'
}
