import { join } from 'node:path'
import type { Fidelity, Manifest, Refusal, ResolvedApp, RuntimeName } from '../../schemas/index.ts'
import { fail } from '../core/errors.ts'
import { INSIDE } from '../core/mount-points.ts'
import { formatBytes } from '../core/text.ts'
import { isNetworkOff } from '../runtime/choose.ts'
import type { HostFacts } from '../system/host-facts.ts'
import type { ChosenRuntime } from './choose-runtime.ts'
import type { ParamValue } from './param-values.ts'
import { commandOf, type ResolvedParams } from './params.ts'

/** Everything decided before anything is fetched or started: plain data, printed by `--plan`. */
export interface Plan {
  readonly app: string
  readonly image: { readonly name: string; readonly digest: string } | null
  readonly runtime: {
    readonly name: RuntimeName
    readonly version: string | null
    readonly fidelity: Fidelity
  }
  readonly refused: readonly Refusal[]
  readonly params: Readonly<Record<string, ParamValue>>
  readonly command: readonly string[]
  /** Where the app finds its bundle, and what it may write; for the `host` runtime below `$RUN`. */
  readonly mounts: readonly {
    readonly inside: string
    readonly what: string
    readonly writable: boolean
  }[]
  /** Environment of the app. REPRO_RUN_ID is added when it starts; PATH is the image's own where it names one. */
  readonly env: Readonly<Record<string, string>>
  readonly network: 'none' | 'host'
  readonly limits: {
    readonly timeMs?: number
    readonly cpus?: number
    readonly memoryBytes?: number
    readonly diskBytes?: number
  }
  /** What the runtime does not hold of what was declared: limits, or the image itself. */
  readonly notes: readonly string[]
  /** What the reader should know before it starts. */
  readonly warnings: readonly string[]
}

export interface PlanInput {
  readonly manifest: Manifest
  readonly appName: string
  readonly app: ResolvedApp
  readonly params: ResolvedParams
  readonly extraArgs: readonly string[]
  readonly chosen: ChosenRuntime
  readonly refused: readonly Refusal[]
  readonly notes: readonly string[]
  readonly host: Pick<HostFacts, 'architecture' | 'kernel' | 'cpus' | 'memoryBytes'>
  readonly allowNetwork: boolean
  readonly timeoutMs?: number
  readonly freeBytes: number | null
  readonly identity: { readonly contentHash: string; readonly release: number | null }
  /** PATH of the image (or, for the `host` runtime, of the caller), where it is known. */
  readonly searchPath: string | null
  /** Folder of the run, once there is one. */
  readonly runFolder?: string
}

/** Stands in a plan for the folder of the run, which is named when it begins. */
const RUN_PLACE = '$RUN'
const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
/** 1980-01-01: the same for author and reader, and the earliest that zip files can hold. */
const SOURCE_DATE_EPOCH = '315532800'

/** Makes the plan of a run. Pure. */
export function makePlan(input: PlanInput): Plan {
  const { app, chosen, params } = input
  const onHost = !chosen.adapter.abilities.image
  const inside = onHost ? join(input.runFolder ?? RUN_PLACE, 'bundle') : INSIDE
  const { command, env } = commandOf(app, params, input.extraArgs, onHost)
  const image = app.image === null ? undefined : input.manifest.images[app.image]
  return {
    app: input.appName,
    image: image && !onHost ? { name: app.image!, digest: image.digest } : null,
    runtime: {
      name: chosen.adapter.name,
      version: chosen.report.version,
      fidelity: chosen.report.fidelity,
    },
    refused: input.refused.map(({ runtime, reason }) => ({ runtime, reason })),
    params: params.values,
    command,
    mounts: [
      { inside, what: 'the inputs of the app', writable: onHost },
      { inside: `${inside}/${app.out}`, what: 'the outputs', writable: true },
      ...params.data.map(data => ({
        inside: onHost ? data.host : data.inside,
        what: data.host,
        writable: false,
      })),
    ],
    env: { ...environment(input, onHost), ...env, ...ours(input, inside) },
    network: networkOf(input),
    limits: {
      ...pick('timeMs', input.timeoutMs ?? app.resources.timeMs),
      ...pick('cpus', app.resources.cpus),
      ...pick('memoryBytes', app.resources.memoryBytes),
      ...pick('diskBytes', app.resources.diskBytes),
    },
    notes: input.notes,
    warnings: warningsOf(input, onHost),
  }
}

function networkOf({ app, allowNetwork, chosen }: PlanInput): Plan['network'] {
  if (app.network === 'host' && allowNetwork) return 'host'
  return isNetworkOff(chosen.adapter, chosen.report) ? 'none' : 'host'
}

/** What every app finds, the same under every runtime, and what its manifest adds. */
function environment(input: PlanInput, onHost: boolean): Record<string, string> {
  const home = onHost ? join(input.runFolder ?? RUN_PLACE, 'scratch', 'tmp') : '/tmp'
  return {
    PATH: input.searchPath ?? DEFAULT_PATH,
    HOME: home,
    TMPDIR: home,
    USER: 'repro',
    LOGNAME: 'repro',
    LC_ALL: 'C.UTF-8',
    TZ: 'UTC',
    SOURCE_DATE_EPOCH,
    ...input.app.env,
  }
}

/** Names that belong to repro: no manifest can set them. */
function ours(input: PlanInput, inside: string): Record<string, string> {
  return {
    REPRO_OUT: `${inside}/${input.app.out}`,
    REPRO_APP: input.appName,
    REPRO_CONTENT_HASH: input.identity.contentHash,
    ...(input.identity.release === null ? {} : { REPRO_RELEASE: String(input.identity.release) }),
  }
}

function warningsOf(input: PlanInput, onHost: boolean): string[] {
  const { app, host, allowNetwork, freeBytes } = input
  const { resources } = app
  const warnings: string[] = []
  if (app.network === 'host' && !allowNetwork)
    warnings.push('the app asks for the network and does not get it: --allow network')
  if (app.network === 'none' && networkOf(input) === 'host')
    warnings.push(`the runtime "${input.chosen.adapter.name}" cannot keep the app off the network`)
  if (resources.memoryBytes !== undefined && resources.memoryBytes > host.memoryBytes)
    warnings.push(
      `the app asks for ${formatBytes(resources.memoryBytes)} of memory, this host has ${formatBytes(host.memoryBytes)}`,
    )
  if (resources.cpus !== undefined && resources.cpus > host.cpus)
    warnings.push(`the app asks for ${resources.cpus} processors, this host has ${host.cpus}`)
  if (resources.diskBytes !== undefined && freeBytes !== null && freeBytes < resources.diskBytes)
    warnings.push(
      `the app asks for ${formatBytes(resources.diskBytes)} of disk, ${formatBytes(freeBytes)} are free`,
    )
  if (resources.gpu) warnings.push('the app asks for a GPU, which no runtime here hands on')
  if (resources.mpi) warnings.push('the app asks for MPI ranks: it is started once, as one process')
  if (onHost && app.modules.length > 0)
    warnings.push(`load the modules yourself before: module load ${app.modules.join(' ')}`)
  return warnings
}

/** Refuses, before anything is fetched, what this host can never run. Throws NO_RUNTIME. */
export function assertHostFits(
  manifest: Manifest,
  app: ResolvedApp,
  host: Pick<HostFacts, 'architecture' | 'kernel'>,
  onHost: boolean,
): void {
  const { arch, kernel } = app.resources
  if (arch && !arch.some(name => name === host.architecture))
    fail(
      'NO_RUNTIME',
      `the app is for ${arch.join(', ')} processors, and this host is ${host.architecture}`,
    )
  if (kernel && compareVersions(host.kernel, kernel) < 0)
    fail('NO_RUNTIME', `the app needs Linux ${kernel} or newer, and this host has ${host.kernel}`)
  const image = app.image === null ? undefined : manifest.images[app.image]
  if (!image || onHost || runsOn(image.architecture, host.architecture)) return
  fail(
    'NO_RUNTIME',
    `the image "${app.image}" is for ${image.architecture} processors, and this host is ${host.architecture}`,
    { hints: [`run it on a host with an ${image.architecture} processor`] },
  )
}

const runsOn = (image: string, host: string) =>
  image === host || (image === '386' && host === 'amd64')

function compareVersions(a: string, b: string): number {
  const [left, right] = [a, b].map(text => (text.match(/\d+/g) ?? []).slice(0, 3).map(Number))
  for (let i = 0; i < 3; i++) {
    const difference = (left![i] ?? 0) - (right![i] ?? 0)
    if (difference !== 0) return difference
  }
  return 0
}

function pick<K extends string>(key: K, value: number | undefined): { [P in K]?: number } {
  return value === undefined ? {} : ({ [key]: value } as { [P in K]: number })
}
