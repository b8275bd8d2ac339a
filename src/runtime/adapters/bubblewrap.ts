import { join } from 'node:path'
import { which } from '../../system/which.ts'
import { classifyFailure } from '../failure-texts.ts'
import { brokenReport, readVersion, workingReport } from '../report.ts'
import { tryStart } from '../try-start.ts'
import type { CommandLine, RunSpec, RuntimeAdapter } from '../types.ts'

const STATUS_FD = 3

/** bubblewrap: user namespaces through one small program; starts in about 10 ms. */
export const bubblewrap: RuntimeAdapter = {
  name: 'bubblewrap',
  version: 1,
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
    // Root on a host without user namespaces can still be served: all capabilities are dropped either way.
    for (const userNamespace of context.uid === 0 ? [true, false] : [true]) {
      const report = workingReport(bubblewrap, { binary, version, facts: { userNamespace } })
      const tried = await tryStart(bubblewrap, report, context)
      if (tried.works) return { ...report, startMs: tried.startMs }
      last = tried.stderr
    }
    return brokenReport(bubblewrap, classifyFailure(last, 'bubblewrap'), { binary, version })
  },

  commandLine(spec, report) {
    const { facts, binary } = report
    const argv = [
      binary ?? 'bwrap',
      ...(facts['userNamespace'] === false ? [] : ['--unshare-user']),
      '--unshare-ipc',
      '--unshare-pid',
      '--unshare-uts',
      '--unshare-cgroup-try',
      ...(spec.network === 'none' ? ['--unshare-net'] : []),
      ...['--die-with-parent', '--new-session', '--cap-drop', 'ALL', '--hostname', 'repro'],
      ...mountArguments(spec),
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

function mountArguments(spec: RunSpec): string[] {
  return [
    ...['--ro-bind', spec.rootfs!, '/', '--proc', '/proc', '--dev', '/dev'],
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
