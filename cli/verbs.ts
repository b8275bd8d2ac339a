import type { CommandSpec } from './command.ts'

export interface Verb {
  readonly name: string
  readonly summary: string
  /** Loads what the command needs, and nothing of the others. */
  load(): Promise<CommandSpec>
}

/** Every command, in the order in which a new user meets them. */
export const VERBS: readonly Verb[] = [
  {
    name: 'init',
    summary: 'write a commented repro.yaml from what lies in the folder',
    load: async () => (await import('./commands/init.ts')).init,
  },
  {
    name: 'check',
    summary: 'find everything that publish would refuse, without publishing',
    load: async () => (await import('./commands/check.ts')).check,
  },
  {
    name: 'publish',
    summary: 'store the folder as a new release of its bundle',
    load: async () => (await import('./commands/publish.ts')).publish,
  },
  {
    name: 'share',
    summary: 'serve bundles to peers until stopped',
    load: async () => (await import('./commands/share.ts')).share,
  },
  {
    name: 'get',
    summary: 'fetch a release, verify it, and write it to a folder',
    load: async () => (await import('./commands/get.ts')).get,
  },
  {
    name: 'run',
    summary: 'run an app of a bundle and say whether it reproduced',
    load: async () => (await import('./commands/run.ts')).run,
  },
  {
    name: 'doctor',
    summary: 'say what this host can run, and what to type to have more',
    load: async () => (await import('./commands/doctor.ts')).doctor,
  },
  {
    name: 'ls',
    summary: 'list the files of a release',
    load: async () => (await import('./commands/ls.ts')).ls,
  },
  {
    name: 'cat',
    summary: 'write one file of a release to the standard output',
    load: async () => (await import('./commands/cat.ts')).cat,
  },
  {
    name: 'log',
    summary: 'list the releases of a bundle',
    load: async () => (await import('./commands/log.ts')).log,
  },
  {
    name: 'diff',
    summary: 'say what changed between two releases',
    load: async () => (await import('./commands/diff.ts')).diff,
  },
  {
    name: 'inspect',
    summary: 'show the manifest of a release: apps, images, licences',
    load: async () => (await import('./commands/inspect.ts')).inspect,
  },
  {
    name: 'verify',
    summary: 're-hash a folder or a stored release against its content hash',
    load: async () => (await import('./commands/verify.ts')).verify,
  },
  {
    name: 'runs',
    summary: 'list past runs, or show one receipt',
    load: async () => (await import('./commands/runs.ts')).runs,
  },
  {
    name: 'du',
    summary: 'say what bundles, home and cache take on disk',
    load: async () => (await import('./commands/du.ts')).du,
  },
  {
    name: 'pin',
    summary: 'keep a release whatever prune drops',
    load: async () => (await import('./commands/pin.ts')).pin,
  },
  {
    name: 'prune',
    summary: 'drop old releases that are here, and free the disk',
    load: async () => (await import('./commands/prune.ts')).prune,
  },
  {
    name: 'rm',
    summary: 'remove a bundle from this home',
    load: async () => (await import('./commands/rm.ts')).rm,
  },
  {
    name: 'repair',
    summary: 'make a block index or a damaged store anew',
    load: async () => (await import('./commands/repair.ts')).repair,
  },
  {
    name: 'key',
    summary: "save a bundle's key to a file, or restore it from one",
    load: async () => (await import('./commands/key.ts')).key,
  },
  {
    name: 'bootstrap',
    summary: 'run a DHT bootstrap node and print its address',
    load: async () => (await import('./commands/bootstrap.ts')).bootstrap,
  },
]
