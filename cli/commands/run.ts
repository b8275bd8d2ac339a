import { InvalidArgumentError, Option } from 'commander'
import { fidelities, type RuntimeName } from '../../schemas/index.ts'
import { ExitCode } from '../../src/core/exit-codes.ts'
import {
  type Allowed,
  planRun,
  type RunOptions,
  run as runApp,
} from '../../src/daemon/operations/run.ts'
import { adapterNames } from '../../src/runtime/registry.ts'
import { collect } from '../collect.ts'
import { defineCommand } from '../command.ts'
import { parseTimeMs } from '../parse-number.ts'
import { rehashOption, wantsRehash } from '../rehash.ts'
import { printPlan } from '../render/plan.ts'
import { resultRecord } from '../render/result.ts'
import { exitCodeOf, printVerdict } from '../render/verdict.ts'

interface Flags {
  readonly set?: readonly string[]
  readonly runtime: 'auto' | RuntimeName
  readonly minFidelity?: (typeof fidelities)[number]
  readonly out?: string
  readonly offline?: boolean
  readonly allow?: readonly Allowed[]
  readonly plan?: boolean
  readonly record?: boolean
  readonly recapture?: boolean
  readonly rehash?: boolean
  readonly timeout?: number
  readonly withHost?: boolean
}

const ALLOWED: readonly Allowed[] = ['network', 'host', 'gpu']

export const run = defineCommand<Flags>({
  exitCodes: [0, 1, 2, 4, 5, 6, 7, 8, 130],
  examples: [
    'repro run <key>',
    'repro run <key>@2 align --set threads=4 --runtime podman',
    'repro run . --record',
    'repro run <key> --plan',
  ],
  passesExtra: true,
  configure(command) {
    command
      .usage('<ref> [app] [options] [-- extra arguments for the app]')
      .argument('<ref>', 'a key, <key>@<release>, a repro:// link, a name or a folder')
      .argument('[app]', 'an app of the bundle; default: "default", or the only one')
      .option('--set <name=value>', 'a parameter of the app; may be repeated', collect)
      .addOption(
        new Option('--runtime <name>', 'what executes it')
          .choices(['auto', ...adapterNames])
          .default('auto'),
      )
      .addOption(
        new Option('--min-fidelity <level>', 'refuse runtimes that give less').choices(fidelities),
      )
      .option('--out <folder>', 'write the outputs there')
      .option('--offline', 'ask no peer')
      .option('--allow <what>', `let the app use ${ALLOWED.join(', ')}`, collectAllowed)
      .option('--plan', 'show which runtime would be used and why, and run nothing')
      .option('--record', 'keep the outputs as the expected ones of this folder')
      .option('--recapture', 'capture host: images again')
      .addOption(rehashOption('hash all inputs again'))
      .addOption(new Option('--timeout <time>', 'stop the app after this').argParser(parseTimeMs))
      .option('--with-host', 'put host and user name into the receipt')
  },
  async run({ args, flags, extra }, context) {
    const { output, signal } = context
    const settings = await context.settings()
    const [ref, app] = args
    const options: RunOptions = {
      signal,
      extraArgs: extra,
      version: context.version,
      set: flags.set ?? [],
      allow: flags.allow ?? [],
      ...(app === undefined ? {} : { app }),
      runtime: flags.runtime,
      ...(flags.minFidelity === undefined ? {} : { minFidelity: flags.minFidelity }),
      ...(flags.out === undefined ? {} : { out: flags.out }),
      ...(flags.timeout === undefined ? {} : { timeoutMs: flags.timeout }),
      ...pickTrue(flags, ['offline', 'record', 'recapture', 'withHost']),
      ...(wantsRehash(flags) ? { rehash: true } : {}),
    }
    if (flags.plan) {
      const plan = await context.follow(planRun(settings, ref!, options))
      printPlan(plan, output)
      output.record(resultRecord({ ...plan }))
      return ExitCode.ok
    }
    const result = await context.follow(runApp(settings, ref!, options), { live: true })
    const typed = app === undefined ? ref! : `${ref} ${app}`
    const { receipt, recorded } = result
    const place = { typed, folder: result.folder, out: result.out, recorded }
    printVerdict(receipt, place, output)
    output.record(resultRecord({ ...result }))
    return recorded === null ? exitCodeOf(receipt) : ExitCode.ok
  },
})

function collectAllowed(value: string, before: unknown): Allowed[] {
  const names = value.split(',').map(name => {
    const known = ALLOWED.find(one => one === name.trim())
    if (!known) throw new InvalidArgumentError(`expected ${ALLOWED.join(', ')}`)
    return known
  })
  return [...(Array.isArray(before) ? (before as Allowed[]) : []), ...names]
}

function pickTrue<K extends string>(flags: { readonly [P in K]?: boolean }, names: readonly K[]) {
  return Object.fromEntries(names.filter(name => flags[name]).map(name => [name, true])) as {
    [P in K]?: true
  }
}
