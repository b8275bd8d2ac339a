import { isAbsolute, join, resolve } from 'node:path'
import { fail } from '../core/errors.ts'
import { homeFolder } from './user.ts'

export type Environment = Readonly<Record<string, string | undefined>>

/** Where a user's data lies. Throws CONFIG_INVALID when nothing says it. */
export function dataFolder(env: Environment): string {
  return xdg(env, 'XDG_DATA_HOME', '.local/share', 'REPRO_HOME')
}

/** Where a user's caches lie. Throws CONFIG_INVALID when nothing says it. */
export function cacheFolder(env: Environment): string {
  return xdg(env, 'XDG_CACHE_HOME', '.cache', 'REPRO_CACHE')
}

/** The XDG base directory rules: a path that is not absolute counts as not set. */
function xdg(env: Environment, name: string, below: string, ours: string): string {
  const value = env[name]
  if (value !== undefined && isAbsolute(value)) return value
  const home = env['HOME'] || (env === process.env ? (homeFolder() ?? '') : '')
  if (!isAbsolute(home))
    fail('CONFIG_INVALID', `neither ${ours} nor ${name} nor HOME says where to keep things`, {
      hints: [`export ${ours}=/a/folder/of/yours`],
    })
  return join(home, below)
}

/** A path of a config file: `~/` and `${NAME}` are replaced. Throws CONFIG_INVALID. */
export function expandPath(path: string, env: Environment, from = 'the configuration'): string {
  const variable = (name: string) =>
    env[name] ||
    fail('CONFIG_INVALID', `${from}: "${path}" needs the variable ${name}, which is not set`)
  const text = path
    .replace(/^~(?=\/|$)/, () => variable('HOME'))
    .replace(/\$\{([A-Za-z_]\w*)\}/g, (_, name: string) => variable(name))
  if (isAbsolute(text)) return resolve(text)
  return fail('CONFIG_INVALID', `${from}: "${path}" is not absolute`, {
    hints: ['begin it with "/" or "~/"'],
  })
}
