import { InvalidArgumentError } from 'commander'
import { durationMs } from '../src/core/quantity.ts'

/** A port, 0 to 65535. */
export function parsePort(text: string): number {
  const port = Number(text)
  if (!/^[0-9]+$/.test(text) || port > 65_535)
    throw new InvalidArgumentError('expected a port, 0 to 65535')
  return port
}

/** A whole number, 1 to 999. */
export function parseCount(text: string): number {
  if (!/^[1-9][0-9]{0,2}$/.test(text)) throw new InvalidArgumentError('expected a number from 1 on')
  return Number(text)
}

/** A whole number, 0 to 999,999. */
export function parseLast(text: string): number {
  if (!/^[0-9]{1,6}$/.test(text)) throw new InvalidArgumentError('expected a number from 0 on')
  return Number(text)
}

/** `90s`, `10min`, `2h`, or a number of seconds, in milliseconds. */
export function parseTimeMs(text: string): number {
  const ms = durationMs(/^[0-9.]+$/.test(text) ? `${text}s` : text)
  if (ms === null || ms <= 0) throw new InvalidArgumentError('expected a time like 90s or 10min')
  return ms
}
