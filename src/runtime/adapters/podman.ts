import { join } from 'node:path'
import type { RuntimeReport } from '../../../schemas/index.ts'
import { fail } from '../../core/errors.ts'
import { which } from '../../system/which.ts'
import { classifyFailure } from '../failure-texts.ts'
import { HIDDEN_PROC } from '../hidden-proc.ts'
import { brokenReport, readVersion, workingReport } from '../report.ts'
import { tryStart } from '../try-start.ts'
import type { CommandLine, RunSpec, RuntimeAdapter } from '../types.ts'
import { adaptPodman, firstPodmanFacts } from './podman-facts.ts'

const MOST_ATTEMPTS = 8

/** podman with a plain folder as root file system; nothing is loaded into its image store. */
export const podman: RuntimeAdapter = {
  name: 'podman',
  version: 2,
  program: 'podman',
  fidelity: 'image-isolated',
  abilities: {
    image: true,
    inputsReadOnly: true,
    networkOff: true,
    pidNamespace: true,
    limits: { cpus: true, memory: true },
    needsRoot: false,
  },

  async probe(context) {
    const binary = await which('podman')
    if (!binary) return brokenReport(podman, classifyFailure('not installed', 'podman'))
    const version = await readVersion([binary, '--version'])
    let facts: RuntimeReport['facts'] | null = await firstPodmanFacts(context, version)
    let last = ''
    for (let attempt = 0; facts !== null && attempt < MOST_ATTEMPTS; attempt++) {
      const report = workingReport(podman, { binary, version, facts })
      const tried = await tryStart(podman, report, context)
      if (tried.works) {
        const limits = { ...report, facts: { ...facts, limits: true } }
        const limited = await tryStart(podman, limits, context, { cpus: 1, memoryBytes: 256 << 20 })
        const enforced = limited.works && !/not supported|ignored|discarded/i.test(limited.stderr)
        return { ...report, facts: { ...facts, limits: enforced }, startMs: tried.startMs }
      }
      last = tried.stderr
      facts = await adaptPodman(facts, last, context)
    }
    return brokenReport(podman, classifyFailure(last, 'podman'), { binary, version })
  },

  commandLine(spec, report) {
    const { facts } = report
    for (const path of [
      spec.bundle,
      spec.out.host,
      spec.insideBundle,
      spec.out.inside,
      spec.scratch,
      ...spec.mounts.flatMap(mount => [mount.host, mount.inside]),
    ])
      refuseSeparators(path, /[,"\p{Cc}]/u)
    // podman reads the second word after a colon as options of an overlay.
    refuseSeparators(spec.rootfs!, /[:\p{Cc}]/u)
    const global = globalArguments(report)
    const name = `repro-${spec.id.replace(/[^A-Za-z0-9_.-]/g, '-')}`
    const pidFile = join(spec.scratch, 'podman.pid')
    const enforceLimits = facts['limits'] === true
    const argv = [
      ...global,
      ...['run', '--rm', '--pull', 'never', '--name', name, '--pidfile', pidFile],
      ...['--network', spec.network, '--hostname', 'repro', '--read-only'],
      ...['--read-only-tmpfs=false', '--cap-drop', 'all', '--security-opt', 'no-new-privileges'],
      ...['--security-opt', `mask=${HIDDEN_PROC.map(name => `/proc/${name}`).join(':')}`],
      ...(facts['init'] === true ? ['--init'] : []),
      ...userArguments(spec, report),
      ...(enforceLimits ? limitArguments(spec) : []),
      ...(facts['ulimits'] ? ulimitArguments(report) : []),
      ...mountArguments(spec),
      ...(facts['unsetenv'] === true ? ['--unsetenv-all'] : []),
      ...Object.entries({ ...spec.env, PWD: spec.insideBundle }).flatMap(([key, value]) => [
        '--env',
        `${key}=${value}`,
      ]),
      ...['--workdir', spec.insideBundle, '--rootfs', `${spec.rootfs}:O`],
      ...spec.command,
    ]
    return {
      argv,
      env: podmanEnvironment(report),
      cwd: '/',
      folders: [
        join(spec.scratch, 'tmp'),
        ...(facts['runtimeDir'] ? [String(facts['runtimeDir'])] : []),
      ],
      started: { kind: 'file', path: pidFile },
      runtimeExitCodes: [125],
      commandFailures: [
        {
          exitCode: 127,
          stderr: 'executable file .*not found|no such file or directory',
          means: 127,
        },
        { exitCode: 126, stderr: 'permission denied|is a directory', means: 126 },
        { exitCode: 1, stderr: '^ERROR .*failed to exec pid1: No such file', means: 127 },
        { exitCode: 1, stderr: '^ERROR .*failed to exec pid1: ', means: 126 },
      ],
      cleanup: [[...global, 'rm', '--force', '--time', '0', '--ignore', name]],
      enforces: enforceLimits
        ? {
            ...(spec.limits.cpus === undefined ? {} : { cpus: 'podman --cpus' }),
            ...(spec.limits.memoryBytes === undefined ? {} : { memory: 'podman --memory' }),
          }
        : {},
    } satisfies CommandLine
  },
}

function globalArguments({ binary, facts }: RuntimeReport): string[] {
  const storage = facts['storage']
  return [
    binary ?? 'podman',
    ...(facts['ociRuntime'] ? ['--runtime', String(facts['ociRuntime'])] : []),
    ...(facts['cgroupManager'] ? ['--cgroup-manager', String(facts['cgroupManager'])] : []),
    ...(storage
      ? ['--root', join(String(storage), 'root'), '--runroot', join(String(storage), 'run')]
      : []),
  ]
}

function podmanEnvironment({ facts }: RuntimeReport): Record<string, string> {
  return {
    PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    HOME: String(facts['home'] ?? '/'),
    ...(facts['runtimeDir'] ? { XDG_RUNTIME_DIR: String(facts['runtimeDir']) } : {}),
  }
}

function userArguments(spec: RunSpec, { facts }: RuntimeReport): string[] {
  if (facts['rootless'] !== true) return ['--user', `${spec.uid}:${spec.gid}`]
  return facts['keepId'] === true
    ? ['--userns', 'keep-id', '--user', `${spec.uid}:${spec.gid}`]
    : ['--user', '0:0']
}

function limitArguments({ limits }: RunSpec): string[] {
  return [
    ...(limits.cpus === undefined ? [] : ['--cpus', String(limits.cpus)]),
    ...(limits.memoryBytes === undefined
      ? []
      : ['--memory', `${limits.memoryBytes}b`, '--memory-swap', `${limits.memoryBytes}b`]),
  ]
}

function ulimitArguments({ facts }: RuntimeReport): string[] {
  if (facts['ulimits'] === 'host') return ['--ulimit', 'host']
  return ['nofile', 'nproc'].flatMap(name => ['--ulimit', `${name}=${facts[name]}:${facts[name]}`])
}

function mountArguments(spec: RunSpec): string[] {
  const bind = (source: string, inside: string, mode: 'ro' | 'rw') => [
    '--mount',
    `type=bind,src=${source},dst=${inside}${mode === 'ro' ? ',ro' : ''},nosuid,nodev`,
  ]
  return [
    ...['--mount', 'type=tmpfs,dst=/run', '--mount', 'type=tmpfs,dst=/repro,ro=true'],
    ...bind(join(spec.scratch, 'tmp'), '/tmp', 'rw'),
    ...bind(spec.bundle, spec.insideBundle, 'ro'),
    ...bind(spec.out.host, spec.out.inside, 'rw'),
    ...spec.mounts.flatMap(mount => bind(mount.host, mount.inside, 'ro')),
  ]
}

/** podman takes these characters in paths for separators. */
function refuseSeparators(path: string, separator: RegExp): void {
  const found = separator.exec(path)?.[0]
  if (found === undefined) return
  const shown = JSON.stringify(found).slice(1, -1)
  fail('NO_RUNTIME', `podman cannot use the path "${path}": it contains "${shown}"`, {
    hints: [
      'choose another runtime: --runtime bubblewrap, --runtime unshare',
      `or point REPRO_HOME and REPRO_CACHE to folders without "${shown}" in their path`,
    ],
  })
}
