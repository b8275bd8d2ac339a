import { readFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { fail } from '../core/errors.ts'
import type { HostPort, NetworkSettings, Settings } from '../core/settings.ts'
import type { ConfigKind, ParsedConfig } from './config-file.ts'
import { cacheFolder, dataFolder, type Environment, expandPath } from './config-folders.ts'
import {
  parseBootstrap,
  parseListen,
  parsePeers,
  parseRuntimes,
  parseWait,
} from './config-values.ts'
import { ownershipFaultAt } from './ownership.ts'

/** What was typed; everything may be absent. */
export interface SettingsFlags {
  readonly home?: string
  readonly cache?: string
  /** `public`, `none`, or `host:port,…`. */
  readonly bootstrap?: string
  readonly peer?: readonly string[]
  readonly listen?: string
  /** `15s`, or seconds. */
  readonly wait?: string
}

/** One value that was found, and where. */
interface Found<T> {
  readonly value: T
  readonly from: string
}

const SITE_CONFIG = '/etc/repro/config.yaml'
const DEFAULT_WAIT_MS = 15_000

/**
 * Lays flags, environment, `$REPRO_HOME/config.yaml` and the site's `/etc/repro/config.yaml` (or `$REPRO_SITE_CONFIG`)
 * over each other, strongest first. Reads nothing but the two files. Throws CONFIG_INVALID, which names where
 * the value came from, and for a home or cache that other users of this host can write to.
 */
export async function loadSettings(
  flags: SettingsFlags = {},
  env: Environment = process.env,
): Promise<Settings> {
  const site = await readConfig(env['REPRO_SITE_CONFIG'] || SITE_CONFIG, 'site')
  const home = pick(
    typed(flags.home, '--home', env, 'REPRO_HOME', path => resolve(path)),
    configured(
      site,
      ['home'],
      config => config.home,
      (path, from) => expandPath(path, env, from),
    ),
    () => ({ value: join(dataFolder(env), 'repro'), from: 'default' }),
  )
  await assertOwn('home', 'REPRO_HOME', home)
  const own = await readConfig(join(home.value, 'config.yaml'), 'home')
  const files = [own, site]
  const fromFiles = <T, R>(
    path: readonly string[],
    get: (config: ParsedConfig['config']) => T | undefined,
    parse: (value: T, from: string) => R,
  ): Found<R> | null => firstOf(files.map(file => () => configured(file, path, get, parse)))

  const cache = pick(
    typed(flags.cache, '--cache', env, 'REPRO_CACHE', path => resolve(path)),
    fromFiles(
      ['cache'],
      config => config.cache,
      (path, from) => expandPath(path, env, from),
    ),
    () => ({ value: join(cacheFolder(env), 'repro'), from: 'default' }),
  )
  await assertOwn('cache', 'REPRO_CACHE', cache)
  const bootstrap = pick<NetworkSettings['bootstrap']>(
    typed(flags.bootstrap, '--bootstrap', env, 'REPRO_BOOTSTRAP', parseBootstrap),
    fromFiles(
      ['network', 'bootstrap'],
      config => config.network?.bootstrap,
      (value, from) => parseBootstrap(typeof value === 'string' ? value : value.join(','), from),
    ),
    () => ({ value: 'public', from: 'default' }),
  )
  const peers = pick<readonly HostPort[]>(
    typed(
      flags.peer?.length ? flags.peer.join(',') : undefined,
      '--peer',
      env,
      'REPRO_PEERS',
      parsePeers,
    ),
    fromFiles(
      ['network', 'peers'],
      config => config.network?.peers,
      (value, from) => parsePeers(value.join(','), from),
    ),
    () => ({ value: [], from: 'default' }),
  )
  const listen = pick<HostPort | null>(
    typed(flags.listen, '--listen', env, 'REPRO_LISTEN', parseListen),
    fromFiles(['network', 'listen'], config => config.network?.listen, parseListen),
    () => ({ value: null, from: 'default' }),
  )
  const wait = pick(
    typed(flags.wait, '--wait', env, 'REPRO_WAIT', parseWait),
    fromFiles(['network', 'wait'], config => config.network?.wait, parseWait),
    () => ({ value: DEFAULT_WAIT_MS, from: 'default' }),
  )
  const runtimes = pick<readonly string[]>(
    typed(undefined, '', env, 'REPRO_RUNTIMES', parseRuntimes),
    fromFiles(
      ['runtimes'],
      config => config.runtimes,
      value => value,
    ),
    () => ({ value: [], from: 'default' }),
  )
  return {
    home: home.value,
    cache: cache.value,
    network: {
      bootstrap: bootstrap.value,
      peers: peers.value,
      listen: listen.value,
      waitMs: wait.value,
    },
    runtimeOrder: runtimes.value,
    origins: {
      home: home.from,
      cache: cache.from,
      'network.bootstrap': bootstrap.from,
      'network.peers': peers.from,
      'network.listen': listen.from,
      'network.wait': wait.from,
      runtimes: runtimes.from,
    },
  }
}

/** What lies in these folders is believed, and executed: nobody else may have put it there. */
async function assertOwn(what: string, variable: string, { value, from }: Found<string>) {
  const fault = await ownershipFaultAt(value)
  if (fault === null) return
  fail('CONFIG_INVALID', `the ${what} "${value}" cannot be trusted: ${fault}`, {
    hints: [`chmod go-w ${value}`, `export ${variable}=/a/folder/of/yours`],
    data: { [what]: value, origin: from },
  })
}

async function readConfig(path: string, kind: ConfigKind): Promise<ParsedConfig | null> {
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return null
    return fail('CONFIG_INVALID', `the configuration "${path}" cannot be read: ${error.code}`, {
      hints: [`ls -l ${path}`],
      cause: error,
    })
  })
  if (text === null) return null
  const { parseConfigFile } = await import('./config-file.ts')
  return parseConfigFile(text, path, kind)
}

function typed<R>(
  flag: string | undefined,
  flagName: string,
  env: Environment,
  envName: string,
  parse: (value: string, from: string) => R,
): Found<R> | null {
  if (flag !== undefined) {
    if (flag === '') fail('CONFIG_INVALID', `${flagName} is empty`)
    return { value: parse(flag, flagName), from: flagName }
  }
  const value = env[envName]
  return value === undefined || value === ''
    ? null
    : { value: parse(value, envName), from: envName }
}

function configured<T, R>(
  file: ParsedConfig | null,
  path: readonly string[],
  get: (config: ParsedConfig['config']) => T | undefined,
  parse: (value: T, from: string) => R,
): Found<R> | null {
  const value = file ? get(file.config) : undefined
  if (!file || value === undefined) return null
  const from = file.where(path)
  return { value: parse(value, from), from }
}

function firstOf<T>(tries: readonly (() => T | null)[]): T | null {
  for (const attempt of tries) {
    const found = attempt()
    if (found !== null) return found
  }
  return null
}

/** The strongest of flag or environment, config file, default. */
function pick<T>(
  strong: Found<T> | null,
  file: Found<T> | null,
  otherwise: () => Found<T>,
): Found<T> {
  return strong ?? file ?? otherwise()
}
