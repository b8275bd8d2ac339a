import {
  type Fidelity,
  fidelities,
  type Refusal,
  type ResolvedApp,
  type RuntimeName,
  type RuntimeReport,
} from '../../schemas/index.ts'
import { fail } from '../core/errors.ts'
import { probeRuntime } from '../runtime/probe.ts'
import { adapters } from '../runtime/registry.ts'
import type { RuntimeAdapter } from '../runtime/types.ts'

/** What the reader and the site want of a runtime. */
export interface RuntimeWish {
  readonly runtime: 'auto' | RuntimeName
  readonly minFidelity?: Fidelity
  /** Names to try first, in this order. */
  readonly order: readonly string[]
}

export interface ChosenRuntime {
  readonly adapter: RuntimeAdapter
  readonly report: RuntimeReport
}

/**
 * The runtimes that may run an app, best first. Each is probed when it is its turn, so that a first choice that works
 * costs no probe of the others. Refusals of those passed over are added to `refused`.
 */
export class RuntimeChoice {
  readonly refused: (Refusal & { readonly remedies: readonly string[] })[] = []
  readonly #left: RuntimeAdapter[]
  readonly #app: ResolvedApp
  readonly #wish: RuntimeWish

  /** Throws NO_RUNTIME for a name that there is no adapter for. */
  constructor(app: ResolvedApp, wish: RuntimeWish) {
    this.#app = app
    this.#wish = wish
    this.#left = inOrder(wish)
    if (this.#left.length === 0)
      fail('NO_RUNTIME', `there is no adapter for the runtime "${wish.runtime}" yet`, {
        hints: [`choose one of: ${adapters.map(adapter => adapter.name).join(', ')}`],
      })
  }

  /** The next runtime that can run the app, or null when none is left. */
  async next(cache: string, signal?: AbortSignal): Promise<ChosenRuntime | null> {
    for (let adapter = this.#left.shift(); adapter; adapter = this.#left.shift()) {
      const reason = whyNot(adapter, this.#app, this.#wish)
      if (reason !== null) {
        this.refuse(adapter, reason)
        continue
      }
      const report = await probeRuntime(adapter, { cache, ...(signal ? { signal } : {}) })
      if (report.works) return { adapter, report }
      this.refuse(adapter, report.reason ?? 'does not work here', report.remedies)
    }
    return null
  }

  refuse(adapter: RuntimeAdapter, reason: string, remedies: readonly string[] = []): void {
    this.refused.push({ runtime: adapter.name, reason, remedies })
  }

  /** Throws NO_RUNTIME with every refusal and what to type. */
  exhausted(): never {
    const reasons = this.refused.map(({ runtime, reason }) => `${runtime}: ${reason}`)
    const remedies = [...new Set(this.refused.flatMap(refusal => refusal.remedies))]
    return fail('NO_RUNTIME', `no runtime can run this app here\n${reasons.join('\n')}`, {
      hints: [...remedies, 'repro doctor'],
      data: { refused: this.refused },
    })
  }
}

function inOrder({ runtime, order }: RuntimeWish): RuntimeAdapter[] {
  if (runtime !== 'auto') return adapters.filter(adapter => adapter.name === runtime)
  const rank = (adapter: RuntimeAdapter) => {
    const at = order.indexOf(adapter.name)
    return at < 0 ? order.length : at
  }
  return [...adapters].sort((a, b) => rank(a) - rank(b))
}

/** What rules a runtime out without trying it, or null. */
function whyNot(adapter: RuntimeAdapter, app: ResolvedApp, wish: RuntimeWish): string | null {
  const { abilities, fidelity, name } = adapter
  if (app.refuse.includes(name)) return 'the author rules it out for this app'
  if (wish.minFidelity && fidelities.indexOf(fidelity) > fidelities.indexOf(wish.minFidelity))
    return `gives the fidelity "${fidelity}", less than "${wish.minFidelity}"`
  if (!abilities.image && wish.runtime === 'auto')
    return `uses neither image nor isolation: only when asked for by name (--runtime ${name})`
  if (abilities.image && app.image === null) return 'the app names no image'
  if (!abilities.networkOff && app.network === 'none' && wish.runtime === 'auto')
    return 'cannot keep the app off the network'
  return null
}
