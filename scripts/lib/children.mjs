// Child processes of a script: every one is ended when the script ends, however it ends.
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'

const GRACE_MS = 5_000

export class Children {
  #running = new Set()

  constructor() {
    // The last resort: nothing outlives us, even when we are about to crash.
    process.on('exit', () => {
      for (const child of this.#running) kill(child, 'SIGKILL')
    })
  }

  /**
   * Starts a program in a process group of its own. Each line of its stdout goes to `onLine`.
   * Gives {child, ended}; `ended` resolves with {code, signal, stderr} and never rejects.
   */
  start(command, args, { onLine = () => {}, onErrorLine = () => {}, ...options } = {}) {
    const child = spawn(command, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
      ...options,
    })
    this.#running.add(child)
    const errors = []
    const read = (stream, take) => createInterface({ input: stream }).on('line', take)
    const ended = new Promise(resolve => {
      child.on('error', error => {
        errors.push(error.message)
        this.#running.delete(child)
        resolve({ code: null, signal: null, stderr: errors.join('\n') })
      })
      child.on('close', (code, signal) => {
        this.#running.delete(child)
        resolve({ code, signal, stderr: errors.join('\n') })
      })
    })
    if (child.stdout) read(child.stdout, onLine)
    if (child.stderr)
      read(child.stderr, line => {
        errors.push(line)
        onErrorLine(line)
      })
    return { child, ended }
  }

  /** Ends everything that runs, kindly first. */
  async stop() {
    const waiting = [...this.#running].map(
      child => new Promise(resolve => child.once('close', resolve)),
    )
    for (const child of this.#running) kill(child, 'SIGTERM')
    const timer = setTimeout(() => {
      for (const child of this.#running) kill(child, 'SIGKILL')
    }, GRACE_MS)
    await Promise.all(waiting)
    clearTimeout(timer)
  }
}

function kill(child, signal) {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return
  try {
    process.kill(-child.pid, signal)
  } catch (error) {
    if (error.code !== 'ESRCH') child.kill(signal)
  }
}
