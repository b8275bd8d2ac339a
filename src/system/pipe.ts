import { close, constants, open } from 'node:fs'
import { rm } from 'node:fs/promises'
import { Socket } from 'node:net'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { promisify } from 'node:util'
import { fail } from '../core/errors.ts'
import { runCommand } from './process.ts'
import { makeTemporaryFolder } from './scratch-folder.ts'

export interface Pipe {
  readonly reader: Readable
  /** The file descriptor to give to a child. */
  readonly writer: number
  /** Closes our copy of `writer`: to be called as soon as the child has its own. */
  closeWriter(): Promise<void>
}

const openFile = promisify(open)
const closeFile = promisify(close)

/**
 * Real pipes. Node's own `pipe` is a socket, which a program cannot open again by way of `/dev/stdout`
 * or `/dev/stderr` as shell scripts do. Throws PROGRAM_MISSING when `mkfifo` cannot be run.
 */
export async function openPipes(count: number): Promise<Pipe[]> {
  const folder = await makeTemporaryFolder('pipe')
  const paths = Array.from({ length: count }, (_, i) => join(folder, String(i)))
  const pipes: Pipe[] = []
  try {
    const made = await runCommand(['mkfifo', '-m', '600', '--', ...paths])
    if (made.code !== 0)
      fail('PROGRAM_MISSING', `mkfifo does not work: ${made.stderr.trim() || 'not found'}`, {
        hints: ['install coreutils'],
      })
    for (const path of paths) {
      // The reader owns its descriptor from here on.
      const reading = await openFile(path, constants.O_RDONLY | constants.O_NONBLOCK)
      const reader = new Socket({ fd: reading, readable: true, writable: false })
      const writer = await openFile(path, constants.O_WRONLY)
      pipes.push({ reader, writer, closeWriter: () => closeFile(writer) })
    }
    return pipes
  } catch (error) {
    for (const pipe of pipes) {
      pipe.reader.destroy()
      await pipe.closeWriter()
    }
    throw error
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}
