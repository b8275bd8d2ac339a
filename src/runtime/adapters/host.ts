import { which } from '../../system/which.ts'
import { classifyFailure } from '../failure-texts.ts'
import { brokenReport, workingReport } from '../report.ts'
import { tryStart } from '../try-start.ts'
import type { CommandLine, RuntimeAdapter } from '../types.ts'

/** Process 1 of nothing: brings the loopback up where a tool for it is there, then becomes the caller again. */
const NETWORK_OFF = `
ip link set lo up 2>/dev/null || ifconfig lo up 2>/dev/null || :
unshare=$1 uid=$2 gid=$3
shift 3
exec "$unshare" --user "--map-user=$uid" "--map-group=$gid" -- "$@"
`

/**
 * The host itself, without image or isolation: only when asked for by name. The app works in a copy of its inputs.
 * The network is switched off where the kernel lets us; `facts.networkOff` says whether.
 */
export const host: RuntimeAdapter = {
  name: 'host',
  version: 1,
  program: null,
  fidelity: 'host',
  abilities: {
    image: false,
    inputsReadOnly: false,
    networkOff: false,
    pidNamespace: false,
    limits: { cpus: false, memory: false },
    needsRoot: false,
  },

  async probe(context) {
    const [binary, sh] = await Promise.all([which('unshare'), which('sh')])
    const without = workingReport(host, { facts: { networkOff: false } })
    if (binary && sh) {
      const report = workingReport(host, {
        facts: { networkOff: true, unshare: binary, sh },
      })
      const tried = await tryStart(host, report, context)
      if (tried.works) return { ...report, startMs: tried.startMs }
    }
    const tried = await tryStart(host, without, context)
    return tried.works
      ? { ...without, startMs: tried.startMs }
      : brokenReport(host, classifyFailure(tried.stderr, 'host'))
  },

  commandLine(spec, report) {
    const { facts } = report
    const networkOff = spec.network === 'none' && facts['networkOff'] === true
    const binary = String(facts['unshare'])
    const wrapper = [
      ...[binary, '--user', '--map-root-user', '--net', '--'],
      ...[String(facts['sh']), '-ec', NETWORK_OFF, 'repro-host'],
      ...[binary, String(spec.uid), String(spec.gid)],
    ]
    return {
      argv: [...(networkOff ? wrapper : []), ...spec.command],
      env: { ...spec.env, PWD: spec.insideBundle },
      cwd: spec.insideBundle,
      folders: [],
      started: { kind: 'spawn' },
      runtimeExitCodes: [],
      commandFailures: [],
      cleanup: [],
      enforces: {},
    } satisfies CommandLine
  },
}
