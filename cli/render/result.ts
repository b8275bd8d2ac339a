/** The last record of a command with `--json`. */
export function resultRecord(data: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return { action: 'result', status: 'ok', data }
}
