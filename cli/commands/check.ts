import { ExitCode } from '../../src/core/exit-codes.ts'
import { count, formatBytes } from '../../src/core/text.ts'
import { check as checkFolder } from '../../src/daemon/operations/check.ts'
import { defineCommand } from '../command.ts'
import { rehashOption, wantsRehash } from '../rehash.ts'

interface Flags {
  readonly recapture?: boolean
  readonly rehash?: boolean
}

export const check = defineCommand<Flags>({
  exitCodes: [0, 1, 2, 130],
  examples: ['repro check', 'repro check ./analysis --json'],
  configure(command) {
    command
      .argument('[dir]', 'the folder with repro.yaml', '.')
      .option('--recapture', 'capture host: images again')
      .addOption(rehashOption('look at all files again, also those that look unchanged'))
  },
  async run({ args, flags }, context) {
    const { output, signal } = context
    const work = checkFolder(await context.settings(), args[0] ?? '.', {
      signal,
      ...(flags.recapture ? { recapture: true } : {}),
      ...(wantsRehash(flags) ? { rehash: true } : {}),
    })
    const result = await context.follow(work)
    const { faults, warnings, files, bytes, apps } = result
    const bad = faults.length > 0
    output.line(
      bad
        ? `${count('thing', faults.length)} that publish would refuse, ${count('warning', warnings.length)}`
        : `ready to publish: ${count('file', files)}, ${formatBytes(bytes)}, ${count('warning', warnings.length)}`,
      bad ? 'red' : 'green',
    )
    if (!bad)
      output.say(
        `next: ${apps.length > 0 ? recordFirst(args[0] ?? '.', apps) : publishLine(args[0] ?? '.')}`,
      )
    output.record({ action: 'result', status: bad ? 'error' : 'ok', data: { ...result } })
    return bad ? ExitCode.usage : ExitCode.ok
  },
})

/** The app is chosen as `run` does: by name only where there is a choice. */
function recordFirst(dir: string, apps: readonly string[]): string {
  const folder = dir.startsWith('/') || dir.startsWith('.') ? dir : `./${dir}`
  const app = apps.length === 1 || apps.includes('default') ? '' : ` ${apps[0]}`
  return `repro run ${folder}${app} --record   then: ${publishLine(dir)}`
}

const publishLine = (dir: string) => (dir === '.' ? 'repro publish' : `repro publish ${dir}`)
