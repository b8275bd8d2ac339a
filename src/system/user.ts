import { homedir, userInfo } from 'node:os'

/** The caller's home folder; null for a user without HOME that no passwd file knows, as in many containers. */
export function homeFolder(): string | null {
  return known(homedir)
}

/** The caller's name; `uid 1000` for a user that no passwd file knows. */
export function userName(): string {
  return known(() => userInfo().username) ?? `uid ${process.getuid?.() ?? 'unknown'}`
}

function known(ask: () => string): string | null {
  try {
    return ask()
  } catch (error) {
    if ((error as { code?: string }).code === 'ERR_SYSTEM_ERROR') return null
    throw error
  }
}
