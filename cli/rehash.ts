import { Option } from 'commander'
import { fail } from '../src/core/errors.ts'

const VARIABLE = 'REPRO_REHASH'
const YES = new Set(['1', 'true', 'yes', 'on'])
const NO = new Set(['', '0', 'false', 'no', 'off'])

/** `--rehash` of a command, with what it does there. */
export function rehashOption(description: string): Option {
  return new Option('--rehash', `${description} (env: ${VARIABLE})`)
}

/** Whether it was typed, or is asked for by the environment. Throws CONFIG_INVALID. */
export function wantsRehash(
  flags: { readonly rehash?: boolean },
  env: NodeJS.ProcessEnv = process.env,
): boolean {
  if (flags.rehash) return true
  const value = (env[VARIABLE] ?? '').toLowerCase()
  if (YES.has(value)) return true
  if (NO.has(value)) return false
  return fail('CONFIG_INVALID', `${VARIABLE} is "${value}": expected 1 or 0`, {
    hints: [`export ${VARIABLE}=1`],
  })
}
