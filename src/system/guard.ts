import { spawn } from 'node:child_process'

/**
 * Waits for our word on stdin. When the pipe closes without it, we were killed: it ends the session of the run, the
 * processes that carry the run's mark, and executes the cleanup command. `$1`: leader of the session; `$2`: the mark,
 * may be empty; the rest: the command, may be empty.
 */
const SCRIPT = `read -r word || :
[ "$word" = done ] && exit 0
kill -KILL "-$1" 2>/dev/null
if [ -n "$2" ]; then
  grep -lzFx -- "$2" /proc/[0-9]*/environ 2>/dev/null | while IFS=/ read -r _ _ pid _; do
    kill -KILL "$pid" 2>/dev/null
  done
fi
shift 2
[ $# -eq 0 ] || exec "$@" >/dev/null 2>&1`

/** Stands beside a run whose runtime does not end by itself when our process is killed with SIGKILL. */
export function startGuard(
  leader: number,
  runId: string | undefined,
  cleanup: readonly (readonly string[])[],
  env: Readonly<Record<string, string>>,
): { release(): void } {
  const mark = runId === undefined ? '' : `REPRO_RUN_ID=${runId}`
  const guards = (cleanup.length === 0 ? [[]] : cleanup).map(argv => {
    const guard = spawn('/bin/sh', ['-c', SCRIPT, 'repro-guard', String(leader), mark, ...argv], {
      env: argv.length === 0 ? { PATH: '/usr/bin:/bin' } : { ...env },
      cwd: '/',
      stdio: ['pipe', 'ignore', 'ignore'],
      detached: true,
    })
    guard.once('error', () => undefined)
    guard.stdin.once('error', () => undefined)
    guard.unref()
    return guard
  })
  return {
    release() {
      for (const guard of guards) guard.stdin.end('done\n')
    },
  }
}
