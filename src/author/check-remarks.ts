import { compilePattern } from '../core/glob.ts'
import type { ManifestFile } from '../core/manifest-file.ts'
import { isKnownLicense, nearestLicense } from '../core/spdx.ts'
import { formatBytes } from '../core/text.ts'
import type { AuthorRemark } from './faults.ts'
import { MANIFEST_NAME } from './read-manifest.ts'
import { DEFAULT_OUT, EXPECTED_FOLDER } from './resolve-manifest.ts'
import type { Tree } from './walk.ts'

/** Files above this are said aloud: every reader fetches and keeps them. */
const LARGE_BYTES = 100e6
/** What an app may run, and with what. */
const INTERPRETERS: Readonly<Record<string, string>> = {
  sh: 'sh',
  bash: 'bash',
  py: 'python3',
  r: 'Rscript',
  jl: 'julia',
  pl: 'perl',
}
const RUNNABLE = new RegExp(`\\.(${Object.keys(INTERPRETERS).join('|')})$`, 'i')

/** What reviewers will ask of a valid manifest and its tree. Pure. */
export function checkRemarks(file: ManifestFile, tree: Tree): AuthorRemark[] {
  return [
    ...metadataRemarks(file, tree),
    ...imageRemarks(file, tree),
    ...appRemarks(file, tree),
    ...expectedRemarks(file, tree),
    ...tree.files
      .filter(({ size }) => size > LARGE_BYTES)
      .map(({ path, size }) => ({
        file: path,
        message: `has ${formatBytes(size)}: is it meant for every reader?`,
        hints: [`if not, add '${path}' to exclude`],
      })),
  ]
}

function metadataRemarks({ manifest, locate }: ManifestFile, tree: Tree): AuthorRemark[] {
  const remarks: AuthorRemark[] = []
  const say = (message: string, ...hints: string[]) =>
    remarks.push({ file: MANIFEST_NAME, message, hints })
  if (manifest.title === undefined) say('has no title', 'title: what the paper calls it')
  if (!manifest.authors?.length) say('has no authors', 'authors: [{name: Ada Example}]')
  if (manifest.license === undefined)
    say('has no license: nobody may use the bundle', 'license: {code: MIT, data: CC-BY-4.0}')
  const top = (form: RegExp) => tree.files.some(({ path }) => form.test(path))
  if (!top(/^readme(\.[a-z]+)?$/i))
    remarks.push({ message: 'there is no README', hints: ['say in README.md what this is'] })
  if (!top(/^(licen[cs]e|copying)([.-].*)?$/i) && !top(/^LICENSES\//))
    remarks.push({ message: 'there is no licence text (LICENSE)', hints: [] })
  const parts =
    typeof manifest.license === 'string' ? { '': manifest.license } : (manifest.license ?? {})
  for (const [part, expression] of Object.entries(parts)) {
    for (const id of (expression ?? '').split(/\s+(?:AND|OR|WITH)\s+|[()]+/)) {
      if (id.trim() === '' || isKnownLicense(id.trim())) continue
      const near = nearestLicense(id.trim())
      const at = locate(part === '' ? ['license'] : ['license', part])
      const message = `"${id.trim()}" is no well-known SPDX licence${near ? `: did you mean "${near}"?` : ''}`
      remarks.push({ file: MANIFEST_NAME, ...at, message, hints: [] })
    }
  }
  return remarks
}

function imageRemarks({ manifest, locate }: ManifestFile, tree: Tree): AuthorRemark[] {
  return Object.entries(manifest.images ?? {}).flatMap(([name, image]): AuthorRemark[] => {
    if (!('source' in image)) return []
    const at = { file: MANIFEST_NAME, ...locate(['images', name], 'key') }
    if (image.recipe === undefined)
      return [
        {
          ...at,
          message: `images.${name} has no recipe: readers cannot see how it was made`,
          hints: ['recipe: the path of its Dockerfile or definition file'],
        },
      ]
    if (tree.files.some(({ path }) => path === image.recipe)) return []
    const message = `images.${name}: its recipe "${image.recipe}" is not in the bundle`
    return [{ ...at, message, hints: [] }]
  })
}

function appRemarks({ manifest, locate }: ManifestFile, tree: Tree): AuthorRemark[] {
  const paths = [...tree.files, ...tree.links].map(({ path }) => path)
  const expected = new Set(tree.files.map(({ path }) => path))
  const remarks = Object.entries(manifest.apps ?? {}).flatMap(([name, app]): AuthorRemark[] => {
    const at = { file: MANIFEST_NAME, ...locate(['apps', name], 'key') }
    const found: AuthorRemark[] = []
    for (const [i, pattern] of (app.inputs ?? []).entries()) {
      const compiled = compilePattern(pattern)
      if (paths.some(path => compiled.matches(path))) continue
      const where = locate(['apps', name, 'inputs', i])
      const message = `apps.${name}: the input "${pattern}" matches nothing in the bundle`
      found.push({ file: MANIFEST_NAME, ...where, message, hints: [] })
    }
    const record = [`record them: repro run . ${name} --record`]
    if (!app.outputs?.length)
      found.push({
        ...at,
        message: `apps.${name} declares no outputs: nobody can tell whether it reproduced`,
        hints: ['outputs: [{path: result.tsv, compare: exact}]'],
      })
    for (const [i, output] of (app.outputs ?? []).entries()) {
      if (output.compare === 'exists' || output.expect !== undefined) continue
      if (expected.has(`${EXPECTED_FOLDER}/${name}/${output.path}`)) continue
      const where = locate(['apps', name, 'outputs', i])
      const message = `apps.${name}: the output "${output.path}" has no expectation`
      found.push({ file: MANIFEST_NAME, ...where, message, hints: record })
    }
    if (app.out === undefined && tree.skippedOuts.includes(DEFAULT_OUT))
      found.push({
        ...at,
        message: `the folder "${DEFAULT_OUT}" is where apps.${name} writes, so it is not published`,
        hints: ['when it holds data of yours, name another folder with out:'],
      })
    return found
  })
  const script = tree.files.find(({ path }) => RUNNABLE.test(path))?.path
  if (script !== undefined && Object.keys(manifest.apps ?? {}).length === 0)
    remarks.push({
      file: MANIFEST_NAME,
      ...locate(['apps'], 'key'),
      message: `declares no app, and "${script}" is a script: nobody can run what is published`,
      hints: [
        `declare what to run: apps: {default: {command: [${interpreterOf(script)}, ${script}]}}`,
      ],
    })
  return remarks
}

const interpreterOf = (script: string) =>
  INTERPRETERS[script.slice(script.lastIndexOf('.') + 1).toLowerCase()]!

/** Files under `expected/` that no output is compared with. */
function expectedRemarks({ manifest }: ManifestFile, tree: Tree): AuthorRemark[] {
  const used = new Set(
    Object.entries(manifest.apps ?? {}).flatMap(([name, app]) =>
      (app.outputs ?? []).flatMap(output => [
        `${EXPECTED_FOLDER}/${name}/${output.path}`,
        ...(output.expect === undefined ? [] : [output.expect]),
      ]),
    ),
  )
  return tree.files
    .filter(({ path }) => path.startsWith(`${EXPECTED_FOLDER}/`) && !used.has(path))
    .map(({ path }) => ({ file: path, message: 'is the expectation of no output', hints: [] }))
}
