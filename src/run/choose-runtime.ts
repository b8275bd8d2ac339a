import type {
  Fidelity,
  Refusal,
  ResolvedApp,
  RuntimeName,
  RuntimeReport,
} from '../../schemas/index.ts'
import { fail } from '../core/errors.ts'
import {
  type ChoiceOptions,
  lastResorts,
  type RuntimeNeeds,
  reportFault,
  ruledOut,
  runtimesInOrder,
  unheldNotes,
} from '../runtime/choose.ts'
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
  readonly #needs: RuntimeNeeds
  readonly #options: ChoiceOptions
  readonly #probe: typeof probeRuntime

  /** @param probe tries one runtime. Throws NO_RUNTIME for a name that there is no adapter for. */
  constructor(app: ResolvedApp, wish: RuntimeWish, probe = probeRuntime) {
    this.#probe = probe
    this.#needs = needsOf(app, wish)
    this.#options = {
      order: wish.order,
      ...(wish.runtime === 'auto' ? {} : { named: wish.runtime }),
    }
    this.#left = runtimesInOrder(this.#options)
    if (this.#left.length === 0)
      fail('NO_RUNTIME', `there is no adapter for the runtime "${wish.runtime}" yet`, {
        hints: [`choose one of: ${adapters.map(adapter => adapter.name).join(', ')}`],
      })
  }

  /** The next runtime that can run the app, or null when none is left. */
  async next(cache: string, signal?: AbortSignal): Promise<ChosenRuntime | null> {
    for (let adapter = this.#left.shift(); adapter; adapter = this.#left.shift()) {
      const reason = ruledOut(adapter, this.#needs, this.#options)
      if (reason !== null) {
        this.refuse(adapter, reason)
        continue
      }
      const report = await this.#probe(adapter, { cache, ...(signal ? { signal } : {}) })
      const fault = reportFault(adapter, report, this.#needs)
      if (fault === null) return { adapter, report }
      this.refuse(adapter, fault, report.remedies)
    }
    return null
  }

  /** What this one cannot hold of what the app declares, one sentence each. */
  notesOn({ adapter, report }: ChosenRuntime): string[] {
    return unheldNotes(adapter, report, this.#needs)
  }

  refuse(adapter: RuntimeAdapter, reason: string, remedies: readonly string[] = []): void {
    this.refused.push({ runtime: adapter.name, reason, remedies })
  }

  /** Throws NO_RUNTIME with every refusal and what to type. */
  exhausted(): never {
    const reasons = this.refused.map(({ runtime, reason }) => `${runtime}: ${reason}`)
    const remedies = [...new Set(this.refused.flatMap(refusal => refusal.remedies))]
    return fail('NO_RUNTIME', 'no runtime can run this app here', {
      lines: reasons,
      hints: [...remedies, ...lastResorts(this.#needs, this.#options)],
      data: { refused: this.refused },
    })
  }
}

/** Processors are no matter of the choice here: `assertHostFits` refuses a foreign one for all runtimes at once. */
function needsOf(app: ResolvedApp, wish: RuntimeWish): RuntimeNeeds {
  const { cpus, memoryBytes, gpu } = app.resources
  return {
    image: app.image !== null,
    network: app.network,
    refuse: app.refuse,
    limits: {
      ...(cpus === undefined ? {} : { cpus }),
      ...(memoryBytes === undefined ? {} : { memoryBytes }),
    },
    ...(wish.minFidelity === undefined ? {} : { minFidelity: wish.minFidelity }),
    gpu: gpu !== undefined,
  }
}
