// Builds the library (tsc), the command (esbuild) and the JSON Schemas into dist/.
//   --if-source  do nothing where the sources or the compilers are not (an installed package)
//   --cli        only the command, without types: for a quick try
//   --schemas    rewrite schemas/json as well
import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
process.chdir(root)
const args = new Set(process.argv.slice(2))
const TSC = 'node_modules/typescript/bin/tsc'
if (args.has('--if-source') && !(existsSync('src/index.ts') && existsSync(TSC))) process.exit(0)

const { version } = JSON.parse(readFileSync('package.json', 'utf8'))
/** Packages that find their own files at run time: native parts, and what is seldom needed and takes long to read. */
const OUTSIDE = ['@napi-rs/*', 're2js']
const NATIVE = /^(?:(?:sodium|udx|rocksdb|quickbit|simdle|rabin)-native|fs-native-extensions)$/
/** Everything is made here first, so that a failed build leaves the old one and two builds do not mix. */
const fresh = `dist.${process.pid}.tmp`

function buildLibrary() {
  const { status } = spawnSync(
    process.execPath,
    [TSC, '-p', 'tsconfig.build.json', '--outDir', fresh],
    { stdio: 'inherit' },
  )
  if (status !== 0) process.exit(status ?? 1)
  for (const path of [...workers(), ...workers('.d.mts')]) copyFileSync(path, join(fresh, path))
}

async function buildCommand() {
  const { build } = await import('esbuild')
  await build({
    entryPoints: { repro: 'cli/repro.ts' },
    outdir: join(fresh, 'cli'),
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    minify: true,
    keepNames: true,
    sourcemap: false,
    logLevel: 'warning',
    external: OUTSIDE,
    define: { 'process.env.NODE_ENV': '"production"', __REPRO_VERSION__: JSON.stringify(version) },
    alias: { 'react-devtools-core': './scripts/empty.mjs' },
    banner: {
      js: "import{createRequire as __cr}from'node:module';const require=__cr(import.meta.url);",
    },
    chunkNames: 'chunk-[hash]',
    plugins: [englishOnly, nativeOutside, commandsInside],
  })
  for (const path of workers()) copyFileSync(path, join(fresh, 'cli', basename(path)))
  chmodSync(join(fresh, 'cli/repro.js'), 0o755)
}

/** zod brings its messages in fifty languages, which no command shows and every start would have to read. */
const englishOnly = {
  name: 'english-only',
  setup({ onLoad }) {
    onLoad({ filter: /zod\/v4\/locales\/index\.js$/ }, () => ({
      contents: "export { default as en } from './en.js'",
      loader: 'js',
    }))
  },
}

/** Commander can start other programs as commands, which none of ours is: what that takes is not loaded. */
const commandsInside = {
  name: 'commands-inside',
  setup({ onLoad, onResolve }) {
    onResolve({ filter: /^(?:node:)?child_process$/ }, ({ path, importer }) =>
      /[\\/]commander[\\/]/.test(importer) ? { path, namespace: 'unused' } : null,
    )
    onLoad({ filter: /.*/, namespace: 'unused' }, () => ({ contents: 'module.exports = {}' }))
  },
}

/**
 * Packages with native parts stay where they are installed, which need not be beside ours: each is asked of the package
 * that depends on it, from one to the next as npm laid them out.
 */
const nativeOutside = {
  name: 'native-outside',
  setup({ onLoad, onResolve }) {
    onResolve({ filter: NATIVE }, ({ path }) => ({ path, namespace: 'native' }))
    onLoad({ filter: /.*/, namespace: 'native' }, ({ path }) => ({
      contents: `module.exports = ${JSON.stringify(dependents(path))}.reduce((from, name) => __cr(from.resolve(name)), require)('${path}')`,
      loader: 'js',
    }))
  },
}

/** The packages from ours to one that depends on `name`: the first of ours is a dependency of this package. */
function dependents(name) {
  const open = [{ chain: [], folder: root }]
  const seen = new Set()
  for (const { chain, folder } of open) {
    const own = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
    const dependencies = { ...own.dependencies, ...own.optionalDependencies }
    if (name in dependencies) return chain
    for (const next of Object.keys(dependencies)) {
      const found = [join(folder, 'node_modules', next), join(root, 'node_modules', next)]
      const path = found.find(one => existsSync(join(one, 'package.json')))
      if (path === undefined || seen.has(path)) continue
      seen.add(path)
      open.push({ chain: [...chain, next], folder: path })
    }
  }
  throw new Error(`no dependency asks for ${name}`)
}

/** Plain modules that are started as threads, and what they import: they are found beside the file that starts them. */
function workers(ending = '.mjs') {
  return readdirSync('src', { recursive: true })
    .filter(path => path.endsWith(ending))
    .map(path => join('src', path))
}

async function writeSchemas() {
  const built = join(root, fresh, 'schemas/json-schemas.js')
  const { jsonSchemas } = await import(pathToFileURL(built).href)
  mkdirSync('schemas/json', { recursive: true })
  for (const [name, text] of Object.entries(jsonSchemas()))
    writeFileSync(`schemas/json/${name}.json`, text)
}

function replaceDist() {
  const old = `${fresh}.old`
  if (args.has('--cli')) {
    mkdirSync('dist', { recursive: true })
    if (existsSync('dist/cli')) renameSync('dist/cli', old)
    renameSync(join(fresh, 'cli'), 'dist/cli')
  } else {
    if (existsSync('dist')) renameSync('dist', old)
    renameSync(fresh, 'dist')
  }
  rmSync(old, { recursive: true, force: true })
}

try {
  if (!args.has('--cli')) buildLibrary()
  await buildCommand()
  if (args.has('--schemas')) await writeSchemas()
  replaceDist()
} finally {
  rmSync(fresh, { recursive: true, force: true })
}
