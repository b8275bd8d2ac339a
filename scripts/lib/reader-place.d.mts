export interface Place {
  readonly base: string
  readonly publisher: string
  readonly reader: string
  /** The reader's uid when we are root, else null: the reader is us. */
  readonly uid: number | null
  launch(args: readonly string[]): [command: string, args: string[]]
}
export function makePlace(checkout: string): Place
