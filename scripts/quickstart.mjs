// `npm run quickstart`: the main job on real input, on this machine alone. Installs and builds what is missing, publishes
// fixtures/experiments/lambda-phage from one home, shares it over a DHT on 127.0.0.1, and runs it by its key from another,
// empty home: as root also as another user. Ends with 0 only when the verdict is `reproduced`, isolated in its image.
import { cpSync, existsSync, lstatSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'
import { Children } from './lib/children.mjs'
import { prepare, root } from './lib/install.mjs'
import { asUid, makePlace } from './lib/reader-place.mjs'

const EXPERIMENT = join(root, 'fixtures/experiments/lambda-phage')
const LIMIT_MS = 80_000
const DHT_NODES = 5

const started = performance.now()
const children = new Children()
let place = null
let ending = false

process.on('SIGINT', () => end(130, 'interrupted'))
process.on('SIGTERM', () => end(143, 'stopped'))
process.on('SIGHUP', () => end(129, 'the terminal went away'))

try {
  await quickstart()
  await end(0)
} catch (error) {
  await end(1, error.message)
}

async function quickstart() {
  prepare({ say: step })
  setTimeout(() => end(1, `not done after ${LIMIT_MS / 1000} s`), LIMIT_MS).unref()
  place = makePlace(root)

  step('publishing the lambda phage analysis from one home')
  const folder = join(place.publisher, 'lambda-phage')
  cpSync(EXPERIMENT, folder, { recursive: true, filter: path => !/\/(\.repro|out)$/.test(path) })
  const published = await repro(asPublisher(['publish', folder, '--json']))
  const release = resultOf(published, 'publish')
  fact('key', release.key)
  fact('content hash', release.contentHash)

  step(`sharing it over a DHT of ${DHT_NODES} nodes on 127.0.0.1`)
  const { subject: bootstrap } = await serve(
    asPublisher([
      'bootstrap',
      '--host',
      '127.0.0.1',
      '--port',
      '0',
      '--nodes',
      String(DHT_NODES),
      '--json',
    ]),
  )
  fact('bootstrap', bootstrap)
  await serve(asPublisher(['share', release.key, '--json'], bootstrap))

  step(
    place.uid === null
      ? 'running it by its key, from another process with an empty home'
      : `running it by its key, from another process with an empty home, as user ${place.uid}`,
  )
  if (place.uid !== null) proveApart()
  const run = await repro(asReader(['run', release.key, '--json'], bootstrap), appOutput)
  report(run, release)
}

/** Everything the reader must hold, or an error that says which does not. */
function report(run, release) {
  const result = resultOf(run, 'run')
  const receipt = result.receipt ?? result
  const received = receivedBytes(run.records)
  fact('received', `${received} bytes from the peer, for a bundle of ${release.bytes}`)
  fact(
    'runtime',
    `${receipt.runtime.name} ${receipt.runtime.version ?? ''}, ${receipt.runtime.fidelity}`,
  )
  for (const { path, status } of receipt.outputs) fact(path, status)
  const wrong = [
    received < release.bytes &&
      'fewer bytes came from the peer than the bundle has: something was not fetched',
    receipt.verdict !== 'reproduced' && `the verdict is "${receipt.verdict}", not "reproduced"`,
    receipt.runtime.fidelity !== 'image-isolated' &&
      `the fidelity is "${receipt.runtime.fidelity}", not "image-isolated"`,
    receipt.contentHash !== release.contentHash && `another content ran: ${receipt.contentHash}`,
    receipt.key !== release.key && `another bundle ran: ${receipt.key}`,
  ].filter(Boolean)
  if (wrong.length > 0) throw new Error(wrong.join('; '))

  const kept = join(root, '.repro-quickstart')
  const from = receiptFolder(result, receipt)
  rmSync(kept, { recursive: true, force: true })
  cpSync(from, kept, { recursive: true })
  const seconds = ((performance.now() - started) / 1000).toFixed(1)
  console.log(`
verdict: ${receipt.verdict} (in ${seconds} s)
receipt: ${join(kept, 'receipt.json')}

next:
  npm install -g .                                            to have the command repro
  repro doctor                                                what this machine can run
  repro run ./fixtures/experiments/lambda-phage --set k=31    the same analysis with another parameter
  repro init ~/my-analysis                                    your own work; then repro run . and repro publish`)
}

function receiptFolder(result, receipt) {
  const folder = result.folder ?? join(place.reader, 'home/runs', receipt.id)
  if (!existsSync(join(folder, 'receipt.json'))) throw new Error(`there is no receipt in ${folder}`)
  return folder
}

/** What the run says it got over the network; the largest figure, for progress repeats itself. */
function receivedBytes(records) {
  const figures = records.map(
    ({ action, data }) => (action === 'fetch' ? data?.totalReceivedBytes : 0) ?? 0,
  )
  return Math.max(0, ...figures)
}

/** The reader must not be able to take the bundle from the publisher's disk. */
function proveApart() {
  for (const path of [
    place.publisher,
    join(place.publisher, 'home'),
    join(place.publisher, 'lambda-phage/repro.yaml'),
  ]) {
    if (asUid(place.uid, ['ls', path]).status === 0)
      throw new Error(`user ${place.uid} can read ${path}: the reader would not have to fetch`)
  }
  if (readdirSync(place.reader).length > 0) throw new Error("the reader's folder is not empty")
  fact('apart', `user ${place.uid} cannot read ${place.publisher}`)
}

/** Starts a command that goes on until it is stopped; gives its first `entry`, which says that it serves. */
async function serve([command, args, options]) {
  return await new Promise((resolve, reject) => {
    const onLine = line => {
      const record = JSON.parse(line)
      if (record.action === 'entry') resolve(record)
    }
    const { ended } = children.start(command, args, { ...options, onLine })
    void ended.then(({ code, stderr }) =>
      reject(new Error(`${args[1]} ended with code ${code}\n${stderr}`)),
    )
  })
}

/** Runs a command to its end; gives its JSON records. */
async function repro([command, args, options], onRecord = () => {}) {
  const records = []
  const onLine = line => {
    const record = JSON.parse(line)
    records.push(record)
    onRecord(record)
  }
  const { code, signal, stderr } = await children.start(command, args, { ...options, onLine }).ended
  return { code, signal, stderr, records }
}

function asPublisher(args, bootstrap = 'none') {
  const program = [join(root, 'dist/cli/repro.js'), ...args]
  return [
    process.execPath,
    program,
    { cwd: place.publisher, env: environment(place.publisher, bootstrap) },
  ]
}

function asReader(args, bootstrap) {
  const [command, rest] = place.launch(args)
  return [command, rest, { cwd: place.reader, env: environment(place.reader, bootstrap) }]
}

function environment(folder, bootstrap) {
  return {
    PATH: process.env.PATH,
    HOME: folder,
    REPRO_HOME: join(folder, 'home'),
    REPRO_CACHE: join(folder, 'cache'),
    REPRO_BOOTSTRAP: bootstrap,
    NO_COLOR: '1',
  }
}

function resultOf({ code, signal, stderr, records }, name) {
  const last = records.at(-1)
  if (code === 0 && last?.action === 'result') return last.data
  const words = last?.action === 'error' ? [last.message, ...(last.hints ?? [])] : [stderr]
  throw new Error(`repro ${name} ended with ${signal ?? `code ${code}`}: ${words.join('\n  ')}`)
}

function appOutput({ action, message }) {
  if (action === 'stdout' && message) console.log(`    | ${message.trimEnd()}`)
}

function step(text) {
  console.log(`${((performance.now() - started) / 1000).toFixed(1).padStart(5)} s  ${text}`)
}

function fact(name, value) {
  console.log(`         ${name.padEnd(13)} ${value}`)
}

/** Ends all we started, removes our folders, says what went wrong, and exits. */
async function end(code, words) {
  if (ending) return
  ending = true
  await children.stop()
  if (place && lstatSync(place.base, { throwIfNoEntry: false }))
    rmSync(place.base, { recursive: true, force: true })
  if (words) console.error(`\nquickstart failed: ${words}`)
  process.exit(code)
}
