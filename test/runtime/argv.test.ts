import { readFileSync, writeFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import type { RuntimeReport } from '../../schemas/index.ts'
import { ReproError } from '../../src/core/errors.ts'
import { INSIDE } from '../../src/core/mount-points.ts'
import { adapters } from '../../src/runtime/registry.ts'
import { workingReport } from '../../src/runtime/report.ts'
import type { RunSpec, RuntimeAdapter } from '../../src/runtime/types.ts'

const update = process.env['UPDATE_GOLDEN'] === '1'

const FACTS: Record<string, readonly RuntimeReport['facts'][]> = {
  bubblewrap: [
    {
      ...{ userNamespace: true, lastUserNamespace: true, keyringFilter: false },
      ...{ hiddenFiles: 'keys timer_list', hiddenFolders: 'acpi' },
    },
    { userNamespace: false, devices: 'mount', unshare: '/usr/bin/unshare', sh: '/bin/sh' },
  ],
  unshare: [{ setpriv: '/usr/bin/setpriv', env: '/usr/bin/env', sh: '/bin/sh', path: '/usr/bin' }],
  podman: [
    { rootless: true, keepId: true, init: true, unsetenv: true, home: '/home/ada', limits: true },
    {
      ...{ rootless: false, ociRuntime: '/usr/sbin/runc', ulimits: 'explicit', nofile: 1024 },
      ...{ nproc: 4096, storage: '/cache/runtimes/podman', home: '/root', limits: false },
      cgroupManager: 'cgroupfs',
    },
  ],
  host: [{ networkOff: true, unshare: '/usr/bin/unshare', sh: '/bin/sh' }, { networkOff: false }],
}
const BINARIES: Record<string, string> = {
  bubblewrap: '/usr/bin/bwrap',
  unshare: '/usr/bin/unshare',
  podman: '/usr/bin/podman',
}

function specFor(adapter: RuntimeAdapter, network: RunSpec['network']): RunSpec {
  const image = adapter.abilities.image
  const bundle = '/home/ada/cache/stages/1/bundle'
  const inside = image ? INSIDE : bundle
  return {
    id: 'r1',
    rootfs: image ? '/home/ada/cache/rootfs/abc' : null,
    bundle,
    insideBundle: inside,
    out: { host: '/home/ada/runs/r1/out', inside: `${inside}/out` },
    mounts: image ? [{ host: '/data/my reads', inside: '/repro/params/reads' }] : [],
    command: ['bash', 'code/run.sh', '--title', "it's $HOME"],
    env: { PATH: '/usr/bin:/bin', HOME: '/tmp', REPRO_RUN_ID: 'r1' },
    network,
    uid: 1001,
    gid: 1002,
    limits: { cpus: 2, memoryBytes: 4 * 2 ** 30 },
    scratch: '/home/ada/runs/r1/scratch',
  }
}

describe.each(adapters)('the command line of $name', adapter => {
  const lines = FACTS[adapter.name]!.flatMap(facts =>
    (['none', 'host'] as const).map(network => ({
      network,
      facts,
      line: adapter.commandLine(
        specFor(adapter, network),
        workingReport(adapter, { binary: BINARIES[adapter.name] ?? null, facts }),
      ),
    })),
  )

  it('is the one in fixtures/argv', () => {
    const path = new URL(`../../fixtures/argv/${adapter.name}.json`, import.meta.url)
    const text = `${JSON.stringify(lines, null, 2)}\n`
    if (update) writeFileSync(path, text)
    expect(text).toBe(readFileSync(path, 'utf8'))
  })

  it('holds every word of the command, once and in order', () => {
    const command = specFor(adapter, 'none').command
    for (const { line } of lines) {
      const at = line.argv.lastIndexOf(command[0]!)
      expect(line.argv.slice(at, at + command.length)).toEqual(command)
    }
  })
})

it('podman refuses paths that it would take apart', () => {
  const adapter = adapters.find(({ name }) => name === 'podman')!
  const report = workingReport(adapter)
  const spec = specFor(adapter, 'none')
  for (const broken of [
    { ...spec, rootfs: '/a:b' },
    { ...spec, bundle: '/a,b' },
    { ...spec, out: { ...spec.out, host: '/a,b' } },
    { ...spec, mounts: [{ host: '/a,b', inside: '/repro/params/a' }] },
    { ...spec, mounts: [{ host: '/a', inside: '/repro/params/a,rw' }] },
    { ...spec, out: { ...spec.out, inside: '/repro/bundle/o,src=/etc,dst=/repro/h' } },
    { ...spec, out: { ...spec.out, inside: '/repro/bundle/o"' } },
    { ...spec, insideBundle: '/repro/bundle\nx' },
    { ...spec, rootfs: '/a\nb' },
  ])
    expect(() => adapter.commandLine(broken, report)).toThrow(ReproError)
})
