import { execFileSync, spawn } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { build } from 'esbuild'
import type { RuntimeName, RuntimeReport } from '../../schemas/index.ts'
import { INSIDE } from '../../src/core/mount-points.ts'
import type { ReadOnlyMount, RunSpec } from '../../src/runtime/types.ts'
import { makeRootfs } from './rootfs.ts'
import type { DriverJob, DriverResult } from './runtime-job.ts'

/** Open in the process that starts runs, as number 40: nothing that an app should see. */
export const SECRET_FILE = new URL(import.meta.url).pathname

export interface User {
  readonly label: string
  readonly uid: number
}

/** What differs from a plain run of the command. */
export interface RunOptions {
  readonly env?: Record<string, string>
  readonly mounts?: (folder: string) => readonly ReadOnlyMount[]
  readonly rootfs?: string
  readonly limits?: RunSpec['limits']
  readonly network?: RunSpec['network']
  readonly stopOn?: string
  readonly graceMs?: number
  readonly slow?: boolean
  /** Called with the driver's pid once it runs. */
  readonly onStart?: (pid: number, spec: RunSpec) => Promise<void>
}

export interface RunResult extends DriverResult {
  readonly spec: RunSpec
  /** The folder of this run, with `bundle`, `out` and `scratch`. */
  readonly folder: string
}

/** Everything the suite needs to run jobs as one user: a rootfs, the bundled driver, private folders. */
export class Workbench {
  readonly folder: string
  readonly rootfs: string
  readonly user: User
  readonly adapter: RuntimeName
  report: RuntimeReport | null = null
  #count = 0

  constructor(adapter: RuntimeName, user: User) {
    this.adapter = adapter
    this.user = user
    this.folder = mkdtempSync(join(tmpdir(), 'repro-conformance-'))
    this.rootfs = join(this.folder, 'rootfs')
    chmodSync(this.folder, 0o755)
  }

  /** Makes the rootfs, bundles the driver and probes the runtime. */
  async prepare(): Promise<void> {
    makeRootfs(this.rootfs)
    await build({
      entryPoints: [new URL('./runtime-driver.ts', import.meta.url).pathname],
      outfile: join(this.folder, 'driver.mjs'),
      bundle: true,
      platform: 'node',
      format: 'esm',
      banner: {
        js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url)",
      },
      logLevel: 'error',
    })
    this.give(this.folder)
    this.report = (await this.#drive({ spec: null, ...this.#places('probe') })).report
  }

  remove(): void {
    this.#endPauseProcess()
    execFileSync('chmod', ['-R', 'u+rwX', this.folder])
    rmSync(this.folder, { recursive: true, force: true })
  }

  /** Rootless podman keeps one idle process for each storage folder; ours goes with the folder. */
  #endPauseProcess(): void {
    const path = join(this.folder, 'storage', 'podman', 'runtime', 'libpod', 'tmp', 'pause.pid')
    if (existsSync(path)) process.kill(Number(readFileSync(path, 'utf8')), 'SIGKILL')
  }

  /** Makes a path and all below it the user's. */
  give(path: string): void {
    if (process.getuid!() === 0)
      execFileSync('chown', ['-R', `${this.user.uid}:${this.user.uid}`, path])
  }

  get hasImage(): boolean {
    return this.adapter !== 'host'
  }

  async run(command: readonly string[], options: RunOptions = {}): Promise<RunResult> {
    const folder = join(this.folder, `run-${++this.#count}`)
    const bundle = join(folder, 'bundle')
    const out = this.hasImage ? join(folder, 'out') : join(bundle, 'out')
    for (const path of [join(bundle, 'out'), out, join(folder, 'scratch')])
      mkdirSync(path, { recursive: true })
    writeFileSync(join(bundle, 'data.txt'), 'input data\n')
    writeFileSync(join(folder, 'reader.txt'), "the reader's own\n")
    const id = `t${process.pid}-${this.user.uid}-${this.#count}`
    const insideBundle = this.hasImage ? INSIDE : bundle
    const spec: RunSpec = {
      id,
      rootfs: this.hasImage ? (options.rootfs ?? this.rootfs) : null,
      bundle,
      insideBundle,
      out: { host: out, inside: join(insideBundle, 'out') },
      mounts: options.mounts?.(folder) ?? [],
      command,
      env: {
        PATH: this.hasImage ? '/bin' : '/usr/bin:/bin',
        HOME: '/tmp',
        REPRO_RUN_ID: id,
        ...options.env,
      },
      network: options.network ?? 'none',
      uid: this.user.uid,
      gid: this.user.uid,
      limits: options.limits ?? {},
      scratch: join(folder, 'scratch'),
    }
    this.give(folder)
    const result = await this.#drive(
      {
        spec,
        ...this.#places(`job-${this.#count}`),
        ...(options.stopOn === undefined ? {} : { stopOn: options.stopOn }),
        ...(options.graceMs === undefined ? {} : { graceMs: options.graceMs }),
        ...(options.slow === undefined ? {} : { slow: options.slow }),
      },
      options.onStart ? pid => options.onStart!(pid, spec) : undefined,
    )
    return { ...result, spec, folder }
  }

  #places(name: string) {
    const scratch = join(this.folder, `${name}-scratch`)
    const storage = join(this.folder, 'storage')
    for (const path of [scratch, storage]) {
      mkdirSync(path, { recursive: true })
      if (process.getuid!() === 0) chownSync(path, this.user.uid, this.user.uid)
    }
    return { scratch, storage }
  }

  async #drive(
    job: Omit<DriverJob, 'adapter' | 'report'>,
    onStart?: (pid: number) => Promise<void>,
  ): Promise<DriverResult> {
    const path = join(this.folder, `${process.hrtime.bigint()}.json`)
    const whole: DriverJob = { ...job, adapter: this.adapter, report: this.report }
    writeFileSync(path, JSON.stringify(whole), { mode: 0o644 })
    const secret = openSync(SECRET_FILE, 'r')
    const child = spawn(process.execPath, [join(this.folder, 'driver.mjs'), path], {
      cwd: '/',
      // What the caller's shell holds must not reach the app.
      env: { PATH: process.env['PATH'], SECRET: 'of the caller', HOME: '/home/caller' },
      // As after `exec 40<secret` in the caller's shell.
      stdio: ['ignore', 'pipe', 'inherit', ...Array<'ignore'>(37).fill('ignore'), secret],
      ...(process.getuid!() === 0 ? { uid: this.user.uid, gid: this.user.uid } : {}),
    })
    closeSync(secret)
    let text = ''
    child.stdout!.on('data', chunk => {
      text += chunk
    })
    const closed = new Promise<number | null>(resolve => child.once('close', resolve))
    await onStart?.(child.pid!)
    const code = await closed
    if (onStart) return { report: this.report! }
    if (code !== 0) throw new Error(`the driver ended with ${code}`)
    return JSON.parse(text) as DriverResult
  }
}
