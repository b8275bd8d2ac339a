import {
  type Fidelity,
  fidelities,
  type RuntimeName,
  type RuntimeReport,
} from '../../schemas/index.ts'
import { adapters } from './registry.ts'
import type { RuntimeAdapter } from './types.ts'

/** What an app needs of a runtime, as its manifest and the user say. */
export interface RuntimeNeeds {
  /** The app has an image. Without one only the `host` runtime can run it. */
  readonly image: boolean
  readonly network: 'none' | 'host'
  /** Runtimes that the author rules out. */
  readonly refuse: readonly RuntimeName[]
  readonly limits: { readonly cpus?: number; readonly memoryBytes?: number }
  /** The least that the user takes; nothing given takes all. */
  readonly minFidelity?: Fidelity
  readonly gpu?: boolean
}

export interface ChoiceOptions {
  /** The runtime that the user named; nothing else is then considered. */
  readonly named?: RuntimeName
  /** Names that the user or the site wants first, in this order. */
  readonly order?: readonly string[]
}

/** What is considered, in order: the one that was named, else those wished for, then the rest of the registry. */
export function runtimesInOrder({ named, order = [] }: ChoiceOptions): RuntimeAdapter[] {
  if (named) return adapters.filter(adapter => adapter.name === named)
  const wished = order
    .map(name => adapters.find(adapter => adapter.name === name))
    .filter(adapter => adapter !== undefined)
  return [...new Set([...wished, ...adapters])]
}

/** Why this runtime must not run this app whatever a probe says; null when it may. */
export function ruledOut(
  adapter: RuntimeAdapter,
  needs: RuntimeNeeds,
  options: ChoiceOptions = {},
): string | null {
  const { abilities, fidelity, name } = adapter
  if (needs.refuse.includes(name)) return 'the author of the bundle rules it out'
  if (fidelity === 'host' && options.named !== name)
    return `it runs on the host itself, so only when asked for by name: --runtime ${name}`
  if (needs.minFidelity && isBelow(fidelity, needs.minFidelity))
    return `it gives "${fidelity}" where at least "${needs.minFidelity}" is asked for`
  if (!needs.image && abilities.image) return 'the app has no image'
  if (needs.gpu && abilities.image) return 'it gives the app no access to GPUs yet'
  return null
}

/** Why this runtime cannot run this app on this host, as its probe showed; null when it can. */
export function reportFault(
  adapter: RuntimeAdapter,
  report: RuntimeReport,
  needs: RuntimeNeeds,
): string | null {
  if (!report.works) return report.reason ?? 'it does not work on this host'
  // Naming `host` is consent to what it cannot do; plan and receipt tell it instead.
  if (needs.network === 'none' && !isNetworkOff(adapter, report) && adapter.fidelity !== 'host')
    return 'it cannot switch off the network'
  return null
}

const isBelow = (given: Fidelity, wanted: Fidelity) =>
  fidelities.indexOf(given) > fidelities.indexOf(wanted)

/** True when this runtime, as it was probed here, keeps an app off the network. */
export const isNetworkOff = (adapter: RuntimeAdapter, report: RuntimeReport) =>
  adapter.abilities.networkOff || report.facts['networkOff'] === true

/** What a chosen runtime cannot hold of what was declared, the network aside, one sentence each. */
export function unheldNotes(
  adapter: RuntimeAdapter,
  report: RuntimeReport,
  needs: Pick<RuntimeNeeds, 'limits'>,
): string[] {
  const notes: string[] = []
  if (adapter.fidelity === 'host')
    notes.push('the app runs on the host itself: its programs are those of this host')
  const { limits } = adapter.abilities
  const enforces = report.facts['limits'] !== false
  for (const [name, declared, held] of [
    ['cpus', needs.limits.cpus, limits.cpus],
    ['memory', needs.limits.memoryBytes, limits.memory],
  ] as const)
    if (declared !== undefined && !(held && enforces))
      notes.push(`the limit of ${name} is not enforced by ${adapter.name} here`)
  return notes
}

/** What to type when no runtime fits. */
export function lastResorts(needs: RuntimeNeeds, options: ChoiceOptions): string[] {
  const hostFits =
    options.named !== 'host' &&
    !needs.refuse.includes('host') &&
    (needs.minFidelity === undefined || needs.minFidelity === 'host')
  return [
    'repro doctor   # what each runtime needs on this host',
    ...(hostFits ? ['--runtime host   # without the image, on your own programs'] : []),
  ]
}
