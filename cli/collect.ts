/** Gathers the values of an option that may be repeated. */
export function collect(value: string, before: unknown): string[] {
  return [...(Array.isArray(before) ? (before as string[]) : []), value]
}
