import { type Apps, appOf } from './app-closure.ts'
import { fail } from './errors.ts'

/** The app to run: the one named, else `default`, else the only one. Throws APP_UNKNOWN with the names there are. */
export function chooseApp(manifest: Apps<object>, name: string | undefined): string {
  const names = Object.keys(manifest.apps)
  if (name === undefined && !Object.hasOwn(manifest.apps, 'default')) {
    if (names.length === 1) return names[0]!
    if (names.length > 1)
      fail('APP_UNKNOWN', `the bundle "${manifest.name}" has ${names.length} apps: name one`, {
        hints: [`its apps: ${names.join(', ')}`],
        data: { apps: names },
      })
  }
  if (names.length === 0)
    fail('APP_UNKNOWN', `the bundle "${manifest.name}" declares no app: there is nothing to run`, {
      hints: [
        'repro get fetches its files',
        'its author declares one in repro.yaml: apps: {default: {command: [sh, run.sh]}}',
      ],
      data: { apps: names },
    })
  const chosen = name ?? 'default'
  appOf(manifest, chosen)
  return chosen
}
