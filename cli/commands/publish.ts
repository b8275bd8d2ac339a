import { ExitCode } from '../../src/core/exit-codes.ts'
import { count, formatBytes, formatCount } from '../../src/core/text.ts'
import { publish as publishFolder } from '../../src/daemon/operations/publish.ts'
import { defineCommand } from '../command.ts'
import { rehashOption, wantsRehash } from '../rehash.ts'
import { resultRecord } from '../render/result.ts'

interface Flags {
  readonly tag?: string
  readonly message?: string
  readonly new?: boolean
  readonly recapture?: boolean
  readonly rehash?: boolean
  readonly inPlace?: boolean
  readonly unsynced?: boolean
}

export const publish = defineCommand<Flags>({
  exitCodes: [0, 1, 2, 4, 5, 130],
  examples: [
    'repro publish',
    "repro publish ./analysis --tag v1 -m 'as submitted'",
    'repro publish /archive/run-7 --in-place',
  ],
  configure(command) {
    command
      .argument('[dir]', 'the folder with repro.yaml', '.')
      .option('--tag <tag>', 'a name for the release, unique in the bundle')
      .option('-m, --message <text>', 'what this release is')
      .option('--new', 'make a new bundle with a key of its own')
      .option('--recapture', 'capture host: images again')
      .option('--unsynced', 'write although no peer told what it has: only if nobody has more')
      .option('--in-place', 'keep no second copy: serve from these files, which must not change')
      .addOption(rehashOption('read all files again, also those that look unchanged'))
  },
  async run({ args, flags }, context) {
    const { output, signal } = context
    const work = publishFolder(await context.settings(), args[0] ?? '.', {
      signal,
      ...(flags.tag === undefined ? {} : { tag: flags.tag }),
      ...(flags.message === undefined ? {} : { message: flags.message }),
      ...(flags.new ? { newBundle: true } : {}),
      ...(flags.recapture ? { recapture: true } : {}),
      ...(flags.inPlace ? { inPlace: true } : {}),
      ...(flags.unsynced ? { unsynced: true } : {}),
      ...(wantsRehash(flags) ? { rehash: true } : {}),
    })
    const done = await context.follow(work, { live: true })
    const { record, manifest, citation, published, storedFiles, storedBytes } = done
    const tag = record.tag === undefined ? '' : ` (${record.tag})`
    output.line(
      published
        ? `published release ${record.release}${tag} of ${manifest.name}`
        : `unchanged: ${manifest.name} is release ${record.release}${tag} already`,
      'green',
    )
    output.line(`  key           ${record.key}`)
    output.line(`  release       ${record.release}${tag}`)
    output.line(`  content hash  ${record.contentHash}`)
    output.line(`  size          ${count('file', record.files)}, ${formatBytes(record.bytes)}`)
    const files = `${formatCount(storedFiles)} of ${count('file', record.files)}`
    const bytes = `${formatBytes(storedBytes)} of ${formatBytes(record.bytes)}`
    output.line(`  new           ${files}, ${bytes}`)
    output.line(`  cite as       ${citation}`)
    output.say(`next: repro share ${record.key}`)
    output.record(resultRecord({ ...record, published, storedFiles, storedBytes, citation }))
    return ExitCode.ok
  },
})
