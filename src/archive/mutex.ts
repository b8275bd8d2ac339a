/** Lets one piece of work through at a time, in order of asking. */
export class Mutex {
  #last: Promise<void> = Promise.resolve()

  /** Waits for its turn; returns what ends it. Throws when `signal` is aborted meanwhile. */
  async lock(signal?: AbortSignal): Promise<() => void> {
    const before = this.#last
    let release = () => {}
    this.#last = new Promise(resolve => {
      release = resolve
    })
    await before
    if (signal?.aborted) {
      release()
      signal.throwIfAborted()
    }
    return release
  }
}
