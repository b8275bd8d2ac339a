import type { WorkRecord } from '../../schemas/index.ts'
import type { View } from './view.ts'

/**
 * Holds records while the live view is still being loaded, so that the work does not wait for it.
 * Work that ends sooner, or a view that cannot be loaded, gets the plain lines.
 */
export class LateView implements View {
  readonly #plain: () => View
  #held: WorkRecord[] = []
  #view: View | null = null
  #closed = false
  readonly #loading: Promise<void>

  constructor(load: () => Promise<View>, plain: () => View) {
    this.#plain = plain
    this.#loading = load().then(
      async view => {
        if (this.#closed) return await view.close()
        await this.#useView(view)
      },
      () => this.#useView(plain()),
    )
  }

  async take(record: WorkRecord): Promise<void> {
    if (this.#view) await this.#view.take(record)
    else this.#held.push(record)
  }

  async close(failed = false): Promise<void> {
    this.#closed = true
    if (!this.#view) await this.#useView(this.#plain())
    await this.#view?.close(failed)
  }

  /** Resolves when the wait for the view is over; for tests. */
  async loaded(): Promise<void> {
    await this.#loading
  }

  async #useView(view: View): Promise<void> {
    const held = this.#held
    this.#held = []
    this.#view = view
    for (const record of held) await view.take(record)
  }
}
