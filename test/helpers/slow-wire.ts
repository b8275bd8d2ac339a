import { connect, createServer, type Socket } from 'node:net'
import { onTestFinished } from 'vitest'
import type { HostPort } from '../../src/core/settings.ts'

export interface SlowWire {
  readonly address: HostPort
  /** Bytes carried from the target. */
  readonly carried: number
}

const TICK_MS = 20

/**
 * A TCP wire to `target` that carries at most so many bytes a second, and counts them. After `stopAfter` bytes from
 * the target it carries nothing more, and stays open: the far end seems to think for ever.
 */
export async function slowWire(
  target: HostPort,
  bytesPerSecond: number,
  stopAfter = Number.POSITIVE_INFINITY,
): Promise<SlowWire> {
  let carried = 0
  const sockets = new Set<Socket>()
  const server = createServer(near => {
    const far = connect(target.port, target.host)
    for (const socket of [near, far]) {
      sockets.add(socket)
      socket.setNoDelay(true)
      socket.on('error', () => undefined)
      socket.once('close', () => {
        near.destroy()
        far.destroy()
      })
    }
    near.pipe(far)
    const waiting: Buffer[] = []
    far.on('data', chunk => {
      waiting.push(chunk)
      far.pause()
    })
    let budget = 0
    const timer = setInterval(() => {
      budget = Math.min(bytesPerSecond / 5, budget + (bytesPerSecond * TICK_MS) / 1000)
      while (budget > 0 && waiting.length > 0 && carried < stopAfter) {
        const chunk = waiting.shift()!
        budget -= chunk.length
        carried += chunk.length
        near.write(chunk)
      }
      if (waiting.length === 0) far.resume()
    }, TICK_MS)
    far.once('close', () => clearInterval(timer))
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  const address = server.address() as { port: number }
  return {
    address: { host: '127.0.0.1', port: address.port },
    get carried() {
      return carried
    },
  }
}
