import { dirname, join } from 'node:path'
import { which } from '../../system/which.ts'
import { classifyFailure } from '../failure-texts.ts'
import { HIDDEN_PROC } from '../hidden-proc.ts'
import { brokenReport, isAtLeast, readVersion, workingReport } from '../report.ts'
import { tryStart } from '../try-start.ts'
import type { CommandLine, RunSpec, RuntimeAdapter } from '../types.ts'
import { UNSHARE_SCRIPT } from './unshare-script.ts'

const STATUS_FD = 3
const STAND_IN_ID = 1000

/** The programs of the host that the sandbox is built with; all of util-linux and coreutils. */
const TOOLS = [
  'unshare',
  'setpriv',
  'mount',
  'umount',
  'pivot_root',
  'env',
  'mktemp',
  'sh',
] as const

/** util-linux alone: nothing to install, slower to start than bubblewrap, the same isolation. */
export const unshare: RuntimeAdapter = {
  name: 'unshare',
  version: 2,
  program: 'unshare',
  fidelity: 'image-isolated',
  abilities: {
    image: true,
    inputsReadOnly: true,
    networkOff: true,
    pidNamespace: true,
    limits: { cpus: false, memory: false },
    needsRoot: false,
  },

  async probe(context) {
    const paths = await Promise.all(TOOLS.map(tool => which(tool)))
    const missing = TOOLS.filter((_, i) => paths[i] === null)
    const binary = paths[0] ?? null
    if (binary === null || missing.length > 0) {
      const failure = classifyFailure('not installed', 'unshare')
      return brokenReport(
        unshare,
        { ...failure, reason: `missing on this host: ${missing.join(', ')}` },
        { binary },
      )
    }
    const version = await readVersion([binary, '--version'])
    if (!isAtLeast(version, 2, 38)) {
      const failure = classifyFailure('not installed', 'unshare')
      return brokenReport(
        unshare,
        {
          ...failure,
          reason: `util-linux is ${version ?? 'of an unknown version'}, 2.38 is needed`,
        },
        { binary, version },
      )
    }
    const folders = [...new Set(paths.map(path => dirname(path!)))].join(':')
    const report = workingReport(unshare, {
      binary,
      version,
      facts: { setpriv: paths[1]!, env: paths[5]!, sh: paths[7]!, path: folders },
    })
    const tried = await tryStart(unshare, report, context)
    return tried.works
      ? { ...report, startMs: tried.startMs }
      : brokenReport(unshare, classifyFailure(tried.stderr, 'unshare'), { binary, version })
  },

  commandLine(spec, report) {
    const { facts } = report
    const binary = report.binary ?? 'unshare'
    const base = join(spec.scratch, 'root')
    const temporary = join(spec.scratch, 'tmp')
    const environment = Object.entries({
      ...spec.env,
      HOSTNAME: 'repro',
      PWD: spec.insideBundle,
    }).map(([name, value]) => `${name}=${value}`)
    const mounts = spec.mounts.flatMap(mount => [mount.host, mount.inside])
    const argv = [
      ...[String(facts['setpriv'] ?? 'setpriv'), '--pdeathsig', 'KILL', '--no-new-privs', '--'],
      ...[binary, '--user', '--map-root-user', '--mount', '--pid', '--fork', '--kill-child=KILL'],
      ...['--ipc', '--uts', '--cgroup', ...(spec.network === 'none' ? ['--net'] : [])],
      ...['--propagation', 'private', '--'],
      ...[String(facts['sh'] ?? 'sh'), '-ec', UNSHARE_SCRIPT, 'repro-unshare'],
      ...[base, spec.rootfs!, spec.bundle, spec.insideBundle, spec.out.host, spec.out.inside],
      ...[temporary, ...appIds(spec).map(String), hiddenFrom(spec).join(' ')],
      ...[String(spec.mounts.length), ...mounts],
      ...[String(facts['env'] ?? '/usr/bin/env'), binary, String(spec.command.length)],
      ...spec.command,
      ...environment,
    ]
    return {
      argv,
      env: { PATH: String(facts['path'] ?? '/usr/sbin:/usr/bin:/sbin:/bin'), LC_ALL: 'C' },
      cwd: '/',
      folders: [base, temporary],
      started: { kind: 'byte', fd: STATUS_FD },
      runtimeExitCodes: [],
      commandFailures: [],
      cleanup: [],
      enforces: {},
    } satisfies CommandLine
  },
}

/**
 * As whom the app sees itself. Not as root: the program that is executed with uid 0 gets every capability in its user
 * namespace, and with them the way out of its root folder. Files are the caller's, whoever he is.
 */
const appIds = ({ uid, gid }: RunSpec) => (uid === 0 ? [STAND_IN_ID, STAND_IN_ID] : [uid, gid])

/** What others than root cannot read anyway need not be hidden from them. */
const hiddenFrom = ({ uid }: RunSpec) => (uid === 0 ? HIDDEN_PROC : ['keys'])
