import type { IndexEntry, Manifest, ResolvedApp } from '../../schemas/index.ts'
import { isReserved, RESERVED } from './archive-path.ts'
import { fail } from './errors.ts'
import { compilePatterns } from './glob.ts'
import { nearest } from './text.ts'

/** Which entries of a release one app needs: everything else may stay where it is. Pure. */
export interface AppClosure {
  readonly name: string
  readonly app: ResolvedApp
  /** Folder of the app's image in the bundle; null for an app without image. */
  readonly imageFolder: string | null
  /** Seen by the app as its read-only tree; never what lies in its output folder. */
  isInput(path: string): boolean
  /** A file of the app's image. */
  isImage(path: string): boolean
  /** A file the outputs are compared with; the app does not see it unless it is an input as well. */
  isExpected(path: string): boolean
  /** Any of the three. */
  needs(entry: Pick<IndexEntry, 'path'>): boolean
}

/** The closure of the app `name`. Throws APP_UNKNOWN. */
export function appClosure(manifest: Manifest, name: string): AppClosure {
  const app = appOf(manifest, name)
  const included = compilePatterns(app.inputs.include)
  const excluded = compilePatterns(app.inputs.exclude)
  const imageFolder = app.image === null ? null : `${RESERVED}/images/${app.image}`
  const expected = new Set(
    app.outputs.flatMap(output => ('expect' in output && output.expect?.path) || []),
  )
  const isOut = (path: string) => path === app.out || path.startsWith(`${app.out}/`)
  const isInput = (path: string) =>
    !isReserved(path) && !isOut(path) && included(path) && !excluded(path)
  const isImage = (path: string) => imageFolder !== null && path.startsWith(`${imageFolder}/`)
  const isExpected = (path: string) => expected.has(path)
  const needs = ({ path }: Pick<IndexEntry, 'path'>) =>
    isInput(path) || isImage(path) || isExpected(path)
  return { name, app, imageFolder, isInput, isImage, isExpected, needs }
}

/** What of a manifest its apps are chosen by: of one as published, or as its author wrote it. */
export interface Apps<App> {
  readonly name: string
  readonly apps: Readonly<Record<string, App>>
}

/** The app `name` of a manifest. Throws APP_UNKNOWN with the names there are. */
export function appOf<App extends object>(manifest: Apps<App>, name: string): App {
  const names = Object.keys(manifest.apps)
  const app = Object.hasOwn(manifest.apps, name) ? manifest.apps[name] : undefined
  if (app !== undefined) return app
  const near = nearest(name, names)
  return fail('APP_UNKNOWN', `the bundle "${manifest.name}" has no app "${name}"`, {
    hints: [
      ...(near === undefined ? [] : [`did you mean "${near}"?`]),
      names.length === 0
        ? 'it has no apps: it is data alone, and `repro get` fetches it'
        : `its apps: ${names.join(', ')}`,
    ],
    data: { app: name, apps: names },
  })
}
