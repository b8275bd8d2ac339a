import { join } from 'node:path'
import type { RuntimeReport } from '../../../schemas/index.ts'
import { which } from '../../system/which.ts'
import { classifyFailure } from '../failure-texts.ts'
import { hiddenProc } from '../hidden-proc.ts'
import { keyringFilter } from '../keyring-filter.ts'
import { brokenReport, readVersion, workingReport } from '../report.ts'
import { sealDevices } from '../seal-devices.ts'
import { tryStart } from '../try-start.ts'
import type { CommandLine, ProbeContext, RunSpec, RuntimeAdapter } from '../types.ts'

const STATUS_FD = 3
const FILTER_FD = 4

type Facts = RuntimeReport['facts']

/** bubblewrap: user namespaces through one small program; starts in about 10 ms. */
export const bubblewrap: RuntimeAdapter = {
  name: 'bubblewrap',
  version: 2,
  program: 'bwrap',
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
    const binary = await which('bwrap')
    if (!binary) return brokenReport(bubblewrap, classifyFailure('not installed', 'bubblewrap'))
    const version = await readVersion([binary, '--version'])
    let last = ''
    for (const facts of await factsToTry(context)) {
      const report = workingReport(bubblewrap, { binary, version, facts })
      const tried = await tryStart(bubblewrap, report, context)
      if (tried.works) return { ...report, startMs: tried.startMs }
      last = tried.stderr
    }
    return brokenReport(bubblewrap, classifyFailure(last, 'bubblewrap'), { binary, version })
  },

  commandLine(spec, report) {
    const { facts, binary } = report
    const filter = facts['keyringFilter'] === true ? keyringFilter() : null
    const argv = [
      ...sealArguments(facts),
      binary ?? 'bwrap',
      ...(facts['userNamespace'] === false ? [] : ['--unshare-user']),
      ...(facts['lastUserNamespace'] === true ? ['--disable-userns'] : []),
      ...(filter === null ? [] : ['--seccomp', String(FILTER_FD)]),
      '--unshare-ipc',
      '--unshare-pid',
      '--unshare-uts',
      '--unshare-cgroup-try',
      ...(spec.network === 'none' ? ['--unshare-net'] : []),
      ...['--die-with-parent', '--new-session', '--cap-drop', 'ALL', '--hostname', 'repro'],
      ...mountArguments(spec, facts),
      ...['--clearenv', ...environmentArguments(spec)],
      ...['--chdir', spec.insideBundle, '--json-status-fd', String(STATUS_FD)],
      '--',
      ...spec.command,
    ]
    return {
      argv,
      env: { PATH: '/usr/local/bin:/usr/bin:/bin' },
      cwd: '/',
      folders: [join(spec.scratch, 'tmp')],
      started: { kind: 'json-status', fd: STATUS_FD },
      contents: filter === null ? [] : [{ fd: FILTER_FD, base64: filter.toString('base64') }],
      runtimeExitCodes: [],
      commandFailures: [
        { exitCode: 1, stderr: '^bwrap: execvp .*: (No such file|Not a directory)', means: 127 },
        { exitCode: 1, stderr: '^bwrap: execvp .*: ', means: 126 },
      ],
      cleanup: [],
      enforces: {},
    } satisfies CommandLine
  },
}

/** What to try, the most that can be had first. Root can be served on a host without user namespaces. */
async function factsToTry({ uid }: ProbeContext): Promise<Facts[]> {
  const hidden = await hiddenProc()
  const [unshare, sh] = uid === 0 ? await Promise.all([which('unshare'), which('sh')]) : []
  const root = { unshare: unshare ?? 'unshare', sh: sh ?? 'sh' }
  const ways: readonly Facts[] =
    uid === 0
      ? [
          { userNamespace: true, devices: 'mount', ...root },
          { userNamespace: true, devices: 'user', ...root },
          { userNamespace: false, devices: 'mount', ...root },
        ]
      : [{ userNamespace: true }]
  const filters = keyringFilter() === null ? [false] : [true, false]
  return ways.flatMap(way =>
    (way['userNamespace'] === true ? [true, false] : [false]).flatMap(lastUserNamespace =>
      filters.map(filter => ({
        ...way,
        ...{ lastUserNamespace, keyringFilter: filter },
        ...{ hiddenFiles: hidden.files, hiddenFolders: hidden.folders },
      })),
    ),
  )
}

function sealArguments({ devices, unshare, sh }: Facts): string[] {
  return devices === 'mount' || devices === 'user'
    ? sealDevices(devices, String(unshare), String(sh))
    : []
}

const wordsOf = (fact: Facts[string] | undefined) =>
  String(fact ?? '')
    .split(' ')
    .filter(Boolean)

function mountArguments(spec: RunSpec, facts: Facts): string[] {
  return [
    ...['--ro-bind', spec.rootfs!, '/', '--proc', '/proc', '--dev', '/dev'],
    ...wordsOf(facts['hiddenFiles']).flatMap(name => ['--ro-bind', '/dev/null', `/proc/${name}`]),
    ...wordsOf(facts['hiddenFolders']).flatMap(name => ['--tmpfs', `/proc/${name}`]),
    // Root owns what lies in /proc/sys, capabilities or not: nothing of /proc can be written.
    ...['--remount-ro', '/proc', '--tmpfs', '/sys', '--remount-ro', '/sys'],
    ...['--perms', '1777', '--tmpfs', '/dev/shm', '--tmpfs', '/run'],
    ...['--bind', join(spec.scratch, 'tmp'), '/tmp'],
    // On a read-only root no mount point can be made, so /repro is a tmpfs until all of them stand.
    ...['--tmpfs', '/repro', '--ro-bind', spec.bundle, spec.insideBundle],
    ...['--bind', spec.out.host, spec.out.inside],
    ...spec.mounts.flatMap(mount => ['--ro-bind', mount.host, mount.inside]),
    ...['--remount-ro', '/repro'],
  ]
}

function environmentArguments(spec: RunSpec): string[] {
  return Object.entries({ ...spec.env, HOSTNAME: 'repro', PWD: spec.insideBundle }).flatMap(
    ([name, value]) => ['--setenv', name, value],
  )
}
