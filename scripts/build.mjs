// Builds the library (tsc), the command (esbuild) and the JSON Schemas.
//   --if-source  do nothing where the sources are not (an installed package)
//   --schemas    rewrite schemas/json as well
import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
process.chdir(root)
const args = new Set(process.argv.slice(2))
if (args.has('--if-source') && !existsSync('src/index.ts')) process.exit(0)

const { version } = JSON.parse(readFileSync('package.json', 'utf8'))
/** Packages with native parts, and CommonJS ones that find their files at run time, stay outside of the bundle. */
const OUTSIDE = [
  '@napi-rs/*',
  'hyper*',
  'corestore',
  '@hyperswarm/*',
  'b4a',
  'compact-encoding',
  'sodium-*',
  'udx-native',
  'rocksdb-native',
]

rmSync('dist', { recursive: true, force: true })
const tsc = spawnSync(
  process.execPath,
  ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.build.json'],
  { stdio: 'inherit' },
)
if (tsc.status !== 0) process.exit(tsc.status ?? 1)
copyFileSync('src/system/hash-worker.mjs', 'dist/src/system/hash-worker.mjs')

if (existsSync('cli/repro.ts')) {
  const { build } = await import('esbuild')
  await build({
    entryPoints: { repro: 'cli/repro.ts' },
    outdir: 'dist/cli',
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    minify: true,
    keepNames: true,
    sourcemap: false,
    external: OUTSIDE,
    define: { 'process.env.NODE_ENV': '"production"', __REPRO_VERSION__: JSON.stringify(version) },
    alias: { 'react-devtools-core': './scripts/empty.mjs' },
    banner: {
      js: "import{createRequire as __cr}from'node:module';const require=__cr(import.meta.url);",
    },
    chunkNames: 'chunk-[hash]',
  })
  copyFileSync('src/system/hash-worker.mjs', 'dist/cli/hash-worker.mjs')
  chmodSync('dist/cli/repro.js', 0o755)
}

if (args.has('--schemas')) {
  const { jsonSchemas } = await import(
    pathToFileURL(join(root, 'dist/schemas/json-schemas.js')).href
  )
  mkdirSync('schemas/json', { recursive: true })
  for (const [name, text] of Object.entries(jsonSchemas()))
    writeFileSync(`schemas/json/${name}.json`, text)
}
