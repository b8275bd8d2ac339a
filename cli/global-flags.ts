import { Option } from 'commander'

/** Flags that every command takes. */
export interface GlobalFlags {
  readonly home?: string
  readonly cache?: string
  readonly bootstrap?: string
  readonly peer?: readonly string[]
  readonly listen?: string
  readonly wait?: string
  readonly json?: boolean
  readonly quiet?: boolean
}

/** Fresh options, to be added to one program. */
export function globalOptions(): Option[] {
  return [
    new Option('--json', 'one JSON record a line on stdout; the last is the result or the error'),
    new Option('-q, --quiet', 'say nothing but the result and errors'),
    new Option('--home <folder>', 'where bundles, keys and runs are kept').env('REPRO_HOME'),
    new Option('--cache <folder>', 'what can be made again at any time').env('REPRO_CACHE'),
    new Option('--bootstrap <host:port,…>', 'DHT nodes to start from, "none", or "public"').env(
      'REPRO_BOOTSTRAP',
    ),
    new Option('--peer <host:port>', 'a peer to dial directly over TCP; may be repeated').env(
      'REPRO_PEERS',
    ),
    new Option('--listen <host:port>', 'accept direct TCP peers at this address').env(
      'REPRO_LISTEN',
    ),
    new Option('--wait <time>', 'how long to look for peers, like 15s').env('REPRO_WAIT'),
  ]
}

/** Global flags that take a value: the parser must skip it to find the verb. */
export const VALUE_FLAGS = new Set([
  '--home',
  '--cache',
  '--bootstrap',
  '--peer',
  '--listen',
  '--wait',
])
