export interface HostPort {
  readonly host: string
  readonly port: number
}

export interface NetworkSettings {
  /** DHT bootstrap nodes: the public ones, none (no DHT at all), or a lab's own. */
  readonly bootstrap: 'public' | 'none' | readonly HostPort[]
  /** Peers that are dialled directly over TCP. */
  readonly peers: readonly HostPort[]
  /** Address at which `share` listens for direct TCP peers; null for none. */
  readonly listen: HostPort | null
  /** How long peers are looked for before NO_PEER. */
  readonly waitMs: number
}

/** Everything configurable, after flags, environment and the two config files have been laid over each other. */
export interface Settings {
  readonly home: string
  readonly cache: string
  readonly network: NetworkSettings
  /** Runtime names in the order the user or site wants them tried; empty for the built-in order. */
  readonly runtimeOrder: readonly string[]
  /** Where each value came from, for `doctor` and error messages. */
  readonly origins: Readonly<Record<string, string>>
}
