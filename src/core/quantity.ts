import { fail } from './errors.ts'

const SIZE_UNITS: Readonly<Record<string, number>> = {
  B: 1,
  kB: 1e3,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  PB: 1e15,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
  TiB: 2 ** 40,
  PiB: 2 ** 50,
}
const TIME_UNITS: Readonly<Record<string, number>> = { s: 1e3, min: 6e4, h: 3.6e6, d: 8.64e7 }

/** Bytes of `4GiB`, `500 MB`, or a plain number of bytes; null when it is none or beyond 2^53. */
export function sizeBytes(value: string | number): number | null {
  return typeof value === 'number' ? whole(value) : scaled(value, SIZE_UNITS)
}

/** Milliseconds of `90s`, `10min`, `2h`, `1d`, or a plain number of seconds; null when it is none or beyond 2^53. */
export function durationMs(value: string | number): number | null {
  return typeof value === 'number' ? whole(value * 1000) : scaled(value, TIME_UNITS)
}

/** As `sizeBytes`, for flags and manifests that were checked. Throws MANIFEST_INVALID. */
export function parseSize(value: string | number): number {
  return sizeBytes(value) ?? fail('MANIFEST_INVALID', `"${value}" is no size: write 4GiB or 500MB`)
}

/** As `durationMs`. Throws MANIFEST_INVALID. */
export function parseDuration(value: string | number): number {
  return (
    durationMs(value) ?? fail('MANIFEST_INVALID', `"${value}" is no duration: write 90s or 10min`)
  )
}

function scaled(text: string, units: Readonly<Record<string, number>>): number | null {
  const match = /^([0-9]{1,15}(?:\.[0-9]{1,15})?) ?([A-Za-z]{1,3})$/.exec(text)
  const factor = match && Object.hasOwn(units, match[2]!) ? units[match[2]!] : undefined
  return match && factor !== undefined ? whole(Number(match[1]) * factor) : null
}

function whole(value: number): number | null {
  const rounded = Math.round(value)
  return value >= 0 && Number.isSafeInteger(rounded) ? rounded : null
}
