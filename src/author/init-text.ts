import { basename } from 'node:path'
import type { Survey } from './init-survey.ts'

/** The commented `repro.yaml` for what was found in a folder. Always a valid manifest. Pure. */
export function manifestText(folder: string, survey: Survey): string {
  const { citation } = survey
  const title = citation?.title ?? survey.title
  return [
    '# A bundle for repro: data, code and environment in one, versioned and runnable by others.',
    '# Every field is explained in docs/manifest.md. Check this file: repro check',
    'repro: 1',
    `name: ${slug(basename(folder))}`,
    title ? `title: ${quote(title)}` : '# title: What the paper calls it',
    ...(citation?.description ? [`description: ${quote(citation.description)}`] : []),
    ...authors(survey),
    ...license(survey),
    ...list('keywords', citation?.keywords ?? [], '# keywords: [genomics, alignment]'),
    ...list('cites', citation?.cites ?? [], '# cites: [doi:10.1038/nmeth.1923]'),
    '',
    '# What stays out of the bundle. Patterns without "/" match at any depth.',
    ...exclude(survey),
    '',
    ...images(survey),
    '',
    ...apps(survey),
    '',
  ].join('\n')
}

function authors({ citation, citationFile }: Survey): string[] {
  if (!citation?.authors.length)
    return ['# authors: [{name: Ada Example, orcid: 0000-0002-1825-0097, affiliation: UCLA}]']
  return [
    `authors: # from ${citationFile}`,
    ...citation.authors.map(author => {
      const fields = Object.entries(author).map(([key, value]) => `${key}: ${quote(String(value))}`)
      return `  - {${fields.join(', ')}}`
    }),
  ]
}

function license(survey: Survey): string[] {
  const found = survey.citation?.license ?? survey.license
  if (found)
    return [`license: {code: ${quote(found)}} # and for the data, perhaps: data: CC-BY-4.0`]
  return [
    '# Without a licence nobody may use it. SPDX expressions, per part:',
    '# license: {code: MIT, data: CC-BY-4.0}',
  ]
}

function list(key: string, values: readonly string[], example: string): string[] {
  return values.length === 0 ? [example] : [`${key}: [${values.map(quote).join(', ')}]`]
}

function exclude({ exclude: found }: Survey): string[] {
  if (found.length === 0) return ["exclude: ['*.tmp']"]
  return [
    'exclude:',
    "  - '*.tmp'",
    ...found.map(({ pattern, why }) => `  - ${quote(pattern)} # ${why}`),
  ]
}

/** The image: a file that is there, programs of this host for the scripts, else how to make one. */
function images(survey: Survey): string[] {
  const [file] = survey.imageFiles
  const [recipe] = survey.recipes
  const head =
    '# The environment: each image has exactly one of source (an image file) and host (programs of this computer).'
  if (file)
    return [
      head,
      'images:',
      '  main:',
      `    source: ${quote(file)}`,
      recipe ? `    recipe: ${quote(recipe)}` : '    # recipe: Dockerfile',
    ]
  const programs = hostImage(survey)
  if (programs)
    return [
      head,
      '# These programs are captured from this computer with the libraries they need; add what the scripts call besides.',
      '# To have an image of your own instead, write a Dockerfile, and then here: main: {source: image.oci.tar, recipe: Dockerfile}',
      `# ${buildHint('Dockerfile')}`,
      'images:',
      '  main:',
      `    host: [${programs.map(quote).join(', ')}]`,
    ]
  return [
    head,
    ...(recipe ? [`# Found ${survey.recipes.join(', ')}. ${buildHint(recipe)}`] : []),
    '# Then take the "#" away here and at "image: main" below.',
    '# images:',
    '#   main:',
    '#     source: image.oci.tar',
    `#     recipe: ${recipe ? quote(recipe) : 'Dockerfile'}`,
  ]
}

function buildHint(recipe: string): string {
  if (/(Dockerfile|Containerfile)$/.test(recipe))
    return `Make an image file: podman build -t main -f ${recipe} . && podman save --format oci-archive main -o image.oci.tar`
  if (/(\.def|Singularity)$/.test(recipe))
    return `Make a folder: apptainer build --sandbox rootfs ${recipe}, and name it by source: rootfs`
  return 'Make an image from it with a Dockerfile, and save it as image.oci.tar'
}

/** What to capture from this host; null where an image is there, or a recipe says what it should be. */
function hostImage({ imageFiles, recipes, programs }: Survey): readonly string[] | null {
  return imageFiles.length > 0 || recipes.length > 0 ? null : programs
}

function apps(survey: Survey): string[] {
  const { entry, otherScripts, dataFolders, out } = survey
  const hasImage = survey.imageFiles.length > 0 || hostImage(survey) !== null
  if (!entry)
    return [
      '# What can be run. Data alone is a bundle too: then there are no apps.',
      ...(otherScripts.length > 0 ? [`# Found ${otherScripts.join(', ')}.`] : []),
      '# apps:',
      '#   default:',
      '#     image: main',
      `#     command: [bash, ${otherScripts[0] ?? 'run.sh'}]`,
      '#     outputs: [{path: result.tsv, compare: exact}]',
      'apps: {}',
    ]
  return [
    '# What can be run. The folder is the working directory, read-only but for "out".',
    'apps:',
    '  default:',
    '    # summary: what it does, in a line',
    `    ${hasImage ? '' : '# '}image: main`,
    `    command: [${entry.command.map(quote).join(', ')}]`,
    ...(otherScripts.length > 0 ? [`    # other scripts: ${otherScripts.join(', ')}`] : []),
    '    # params: {threads: {type: int, default: 2, min: 1, max: 64, flag: --threads}}',
    '    # What the app sees; by default everything but expected/ and "out".',
    `    # inputs: [${[...codeFolders(entry.path), ...dataFolders.map(folder => `${folder}/**`)].map(quote).join(', ')}]`,
    `    out: ${quote(out)} # the only folder it can write to; what lies there is never published`,
    '    # Results others compare with theirs, relative to "out". Record them: repro run . --record',
    '    # outputs: [{path: result.tsv, compare: exact}]',
    '    # resources: {cpus: 2, memory: 4GiB, time: 10min}',
  ]
}

function codeFolders(entry: string): string[] {
  const folder = entry.includes('/') ? entry.split('/', 1)[0] : undefined
  return [folder ? `${folder}/**` : entry]
}

/** A name the manifest takes, from any folder's name. */
export function slug(text: string): string {
  const plain = text
    .normalize('NFKD')
    .replace(/\p{M}/gu, '')
    .replace(/[^A-Za-z0-9._-]+/g, '-')
    .replace(/^[^A-Za-z0-9]+|[^A-Za-z0-9]+$/g, '')
    .slice(0, 64)
  return plain === '' ? 'bundle' : quote(plain)
}

/** A YAML scalar: plain where that is safe, else in double quotes, without control characters. */
function quote(text: string): string {
  const clean = text.toWellFormed().replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\ufeff]+/g, ' ')
  const plain =
    /^[A-Za-z/][A-Za-z0-9 ._/*-]*$/.test(clean) && !/ $|^(true|false|null)$/i.test(clean)
  return plain ? clean : JSON.stringify(clean)
}
