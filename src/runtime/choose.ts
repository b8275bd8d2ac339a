import {
  type Fidelity,
  fidelities,
  type Refusal,
  type RuntimeName,
  type RuntimeReport,
} from '../../schemas/index.ts'
import { nearest } from '../core/text.ts'
import { ociArchitecture } from '../system/host-facts.ts'
import { adapterFor, adapters } from './registry.ts'
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
  /** Processor of the image, as the image says; null without image. */
  readonly imageArchitecture: string | null
  /** Processors that the author says the app runs on; empty or absent for any. */
  readonly architectures?: readonly string[]
  readonly gpu?: boolean
}

export interface ChoiceOptions {
  /** The runtime that the user named; nothing else is then considered. */
  readonly named?: RuntimeName
  /** Names that the user or the site wants first, in this order. */
  readonly order?: readonly string[]
  /** Processor of this host; `process.arch` when not given. */
  readonly hostArchitecture?: string
}

export interface Choice {
  /** Null when nothing fits: `refused` and `remedies` say why and what to type. */
  readonly chosen: { readonly adapter: RuntimeAdapter; readonly report: RuntimeReport } | null
  /** Every runtime that was considered before the chosen one, with the reason. */
  readonly refused: readonly Refusal[]
  /** Runtimes that would do as well but come later in the order. */
  readonly spare: readonly RuntimeName[]
  /** What the chosen runtime cannot hold of what was declared; for the receipt and the user. */
  readonly notes: readonly string[]
  readonly remedies: readonly string[]
}

/**
 * Picks the first runtime in order that gives everything the app declares. Pure, and stable: the same input gives
 * the same choice, in whatever order the reports come.
 */
export function chooseRuntime(
  reports: readonly RuntimeReport[],
  needs: RuntimeNeeds,
  options: ChoiceOptions = {},
): Choice {
  const considered = runtimesInOrder(options)
  const refused: Refusal[] = []
  const remedies: string[] = []
  if (options.named && considered.length === 0)
    refused.push({ runtime: options.named, reason: 'this version of repro has no adapter for it' })
  let chosen: Choice['chosen'] = null
  const spare: RuntimeName[] = []
  for (const adapter of considered) {
    const report = reports.find(candidate => candidate.name === adapter.name)
    const reason = ruledOut(adapter, needs, options) ?? reportFault(adapter, report, needs)
    if (reason !== null) {
      if (chosen === null) {
        refused.push({ runtime: adapter.name, reason })
        if (report && !report.works) remedies.push(...report.remedies)
      }
    } else if (chosen === null) chosen = { adapter, report: report! }
    else spare.push(adapter.name)
  }
  return {
    chosen,
    refused,
    spare,
    notes: [...orderNotes(options.order ?? []), ...(chosen ? notesOn(chosen, needs) : [])],
    remedies: chosen ? [] : [...new Set([...remedies, ...lastResorts(needs, options)])],
  }
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
  return foreignProcessor(adapter, needs, options)
}

/** Why this runtime cannot run this app on this host, as its probe showed; null when it can. */
export function reportFault(
  adapter: RuntimeAdapter,
  report: RuntimeReport | undefined,
  needs: RuntimeNeeds,
): string | null {
  if (!report) return 'it was not tried on this host'
  if (!report.works) return report.reason ?? 'it does not work on this host'
  // Naming `host` is consent to what it cannot do; a note tells it instead.
  if (needs.network === 'none' && !isNetworkOff(adapter, report) && adapter.fidelity !== 'host')
    return 'it cannot switch off the network'
  return null
}

function foreignProcessor(
  adapter: RuntimeAdapter,
  needs: RuntimeNeeds,
  options: ChoiceOptions,
): string | null {
  const architecture = ociArchitecture(options.hostArchitecture ?? process.arch)
  const image = needs.imageArchitecture
  if (adapter.abilities.image && image !== null && !canExecute(architecture, image))
    return `the image is for ${ociArchitecture(image)} processors, this host has ${architecture}`
  const wanted = (needs.architectures ?? []).map(ociArchitecture)
  if (wanted.length > 0 && !wanted.includes(architecture))
    return `the app runs on ${wanted.join(', ')} processors, this host has ${architecture}`
  return null
}

const canExecute = (host: string, image: string) =>
  ociArchitecture(image) === host || (host === 'amd64' && ociArchitecture(image) === '386')

const isBelow = (given: Fidelity, wanted: Fidelity) =>
  fidelities.indexOf(given) > fidelities.indexOf(wanted)

const isNetworkOff = (adapter: RuntimeAdapter, report: RuntimeReport) =>
  adapter.abilities.networkOff || report.facts['networkOff'] === true

function orderNotes(order: readonly string[]): string[] {
  const names = adapters.map(adapter => adapter.name)
  return order
    .filter(name => !names.some(known => known === name))
    .map(name => {
      const near = nearest(name, names)
      return `the configured order names "${name}", which is no runtime of this version${near ? ` (did you mean "${near}"?)` : ''}`
    })
}

/** What a chosen runtime cannot hold of what was declared, one sentence each. */
function notesOn(
  { adapter, report }: NonNullable<Choice['chosen']>,
  needs: Pick<RuntimeNeeds, 'network' | 'limits'>,
): string[] {
  const notes: string[] = []
  if (adapter.fidelity === 'host') {
    notes.push('the app runs on the host itself: its programs are those of this host')
    if (needs.network === 'none' && !isNetworkOff(adapter, report))
      notes.push('the network could not be switched off for the app')
  }
  const limits = adapter.abilities.limits
  const enforces = report.facts['limits'] !== false
  for (const [name, declared, held] of [
    ['cpus', needs.limits.cpus, limits.cpus],
    ['memory', needs.limits.memoryBytes, limits.memory],
  ] as const)
    if (declared !== undefined && !(held && enforces))
      notes.push(`the limit of ${name} is not enforced by ${adapter.name} here`)
  return notes
}

function lastResorts(needs: RuntimeNeeds, options: ChoiceOptions): string[] {
  const hostFits =
    options.named !== 'host' &&
    adapterFor('host') !== null &&
    !needs.refuse.includes('host') &&
    (needs.minFidelity === undefined || needs.minFidelity === 'host')
  return [
    'repro doctor   # what each runtime needs on this host',
    ...(hostFits ? ['--runtime host   # without the image, on your own programs'] : []),
  ]
}
