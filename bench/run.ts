import { execFileSync, spawnSync } from 'node:child_process'
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Contender, measure } from './lib/measure.ts'
import { type Figure, report } from './lib/report.ts'

// `repro run` of a bundle that is already here, against the bare command line of the runtime on the same rootfs.
const folder = mkdtempSync(join(tmpdir(), 'repro-bench-'))
const env = {
  HOME: folder,
  REPRO_HOME: join(folder, 'home'),
  REPRO_CACHE: join(folder, 'cache'),
  REPRO_BOOTSTRAP: 'none',
}
const repro = (...args: string[]) => [
  process.execPath,
  join(process.cwd(), 'dist/cli/repro.js'),
  ...args,
]
const COMMAND = ['bash', '-c', 'echo done > out/result.txt']

const BARE: Record<string, (rootfs: string, bundle: string, out: string) => string[]> = {
  bubblewrap: (rootfs, bundle, out) => [
    'bwrap',
    '--unshare-user',
    '--unshare-ipc',
    '--unshare-pid',
    '--unshare-net',
    '--unshare-uts',
    '--die-with-parent',
    '--ro-bind',
    rootfs,
    '/',
    '--proc',
    '/proc',
    '--dev',
    '/dev',
    '--tmpfs',
    '/tmp',
    '--ro-bind',
    bundle,
    '/repro/bundle',
    '--bind',
    out,
    '/repro/bundle/out',
    '--chdir',
    '/repro/bundle',
    '--clearenv',
    '--setenv',
    'PATH',
    '/usr/bin:/bin',
    ...COMMAND,
  ],
  unshare: (rootfs, bundle, out) => [
    'unshare',
    '--user',
    '--map-root-user',
    '--mount',
    '--pid',
    '--fork',
    '--net',
    '--ipc',
    '--uts',
    'sh',
    '-ec',
    `mount --rbind "$1" "$1"; mount --bind "$2" "$1/repro/bundle"; mount --bind "$3" "$1/repro/bundle/out"; mount -t proc proc "$1/proc"; shift 3
     exec unshare --root="${rootfs}" --wd=/repro/bundle "$@"`,
    'sh',
    rootfs,
    bundle,
    out,
    ...COMMAND,
  ],
  podman: (rootfs, bundle, out) => [
    'podman',
    '--runtime',
    'runc',
    'run',
    '--rm',
    '--pull',
    'never',
    '--network',
    'none',
    '--read-only',
    '--ulimit',
    'nofile=20000:20000',
    '--ulimit',
    'nproc=4096:4096',
    '-v',
    `${bundle}:/repro/bundle:ro`,
    '-v',
    `${out}:/repro/bundle/out`,
    '-w',
    '/repro/bundle',
    '--env',
    'PATH=/usr/bin:/bin',
    '--rootfs',
    `${rootfs}:O`,
    ...COMMAND,
  ],
}

try {
  const author = join(folder, 'author')
  mkdirSync(author)
  const manifest = [
    'repro: 1',
    'name: bench',
    'images: {main: {host: [bash]}}',
    `apps: {default: {image: main, command: ${JSON.stringify(COMMAND)}, outputs: [{path: result.txt, compare: exists}]}}`,
  ]
  writeFileSync(join(author, 'repro.yaml'), `${manifest.join('\n')}\n`)
  execFileSync(repro('publish', author)[0]!, repro('publish', author).slice(1), {
    env: { ...process.env, ...env },
  })
  const names = JSON.parse(readFileSync(join(folder, 'home/names.json'), 'utf8'))
  const key: string = /[ybndrfg8ejkmcpqxot1uwisza345h769]{52}/.exec(JSON.stringify(names))![0]
  execFileSync(repro('run', `${key}@1`)[0]!, repro('run', `${key}@1`).slice(1), {
    env: { ...process.env, ...env },
  })

  const cached = join(folder, 'cache/rootfs')
  const rootfs = join(cached, readdirSync(cached).find(name => !name.endsWith('.json'))!)
  const bundle = join(folder, 'bundle')
  const out = join(folder, 'out')
  cpSync(author, bundle, { recursive: true })
  mkdirSync(join(bundle, 'out'))
  mkdirSync(out)

  const contenders: Contender[] = [{ name: 'node -e 0', argv: [process.execPath, '-e', '0'] }]
  const figures: Figure[] = []
  const absent: string[] = []
  for (const [name, bare] of Object.entries(BARE)) {
    const argv = bare(rootfs, bundle, out)
    const tried = spawnSync(argv[0]!, argv.slice(1), { encoding: 'utf8' })
    if (tried.status !== 0) {
      absent.push(`${name}: ${(tried.error?.message ?? tried.stderr).trim().split('\n').at(-1)}`)
      continue
    }
    contenders.push(
      { name: `bare ${name}`, argv, env: { HOME: folder } },
      { name: `repro run (${name})`, argv: repro('run', `${key}@1`, '--runtime', name), env },
    )
    figures.push({
      what: `repro run with ${name}`,
      ours: `repro run (${name})`,
      peer: `bare ${name}`,
      must: { addedMs: 400 },
    })
  }
  const met = report({ bench: 'run', samples: measure(contenders, 9), figures, absent })
  process.exitCode = met ? 0 : 1
} finally {
  rmSync(folder, { recursive: true, force: true })
}
