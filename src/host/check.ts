import type { Check } from '../../schemas/index.ts'

/** One line of the doctor's report, with what to type when it is not well. */
export function makeCheck(
  name: string,
  status: Check['status'],
  value: string,
  more: { readonly detail?: string | null; readonly remedies?: readonly string[] } = {},
): Check {
  return {
    name,
    status,
    value,
    ...(more.detail ? { detail: more.detail } : {}),
    remedies: [...(more.remedies ?? [])],
  }
}
