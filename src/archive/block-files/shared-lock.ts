/** Many at once, or one alone; who wants to be alone waits for those before and holds up those after. */
export class SharedLock {
  #active = 0
  #alone: Promise<void> | null = null
  #idle: (() => void) | null = null

  async shared<T>(work: () => Promise<T>): Promise<T> {
    while (this.#alone !== null) await this.#alone
    this.#active++
    try {
      return await work()
    } finally {
      this.#active--
      if (this.#active === 0) this.#idle?.()
    }
  }

  async alone<T>(work: () => Promise<T>): Promise<T> {
    while (this.#alone !== null) await this.#alone
    let end = (): void => undefined
    this.#alone = new Promise(resolve => {
      end = resolve
    })
    try {
      if (this.#active > 0)
        await new Promise<void>(resolve => {
          this.#idle = resolve
        })
      return await work()
    } finally {
      this.#idle = null
      this.#alone = null
      end()
    }
  }
}
