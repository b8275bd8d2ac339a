/** Looking at unchecked values without tripping over wrong types. */
export type Loose = Readonly<Record<string, unknown>>

export const isRecord = (value: unknown): value is Loose =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
export const recordOf = (value: unknown): Loose => (isRecord(value) ? value : {})
export const listOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : [])
export const textOf = (value: unknown): string | undefined =>
  typeof value === 'string' ? value : undefined
export const numberOf = (value: unknown): number | undefined =>
  typeof value === 'number' ? value : undefined
