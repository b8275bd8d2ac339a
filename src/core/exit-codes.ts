/** Exit codes of every command; docs/errors.md lists them for users. */
export const ExitCode = {
  ok: 0,
  failed: 1,
  usage: 2,
  partial: 3,
  notFound: 4,
  verification: 5,
  noRuntime: 6,
  differs: 7,
  appFailed: 8,
  interrupted: 130,
} as const

export type ExitCode = (typeof ExitCode)[keyof typeof ExitCode]
