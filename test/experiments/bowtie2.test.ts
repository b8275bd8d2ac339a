import { cpSync, mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { HostReport, OutputResult, Receipt } from '../../schemas/index.ts'
import { makePlace, type Place } from '../../scripts/lib/reader-place.mjs'
import { checkout, lambdaPhage, Person, share } from '../helpers/cli.ts'
import { debianImage } from '../helpers/debian-image.ts'
import { isRoot, missing } from '../helpers/requires.ts'

const WITH_IMAGE = ['bubblewrap', 'unshare', 'podman'] as const
const reason = missing('debian', 'program mmdebstrap', 'user namespaces')

interface Reader {
  readonly person: Person
  readonly works: ReadonlySet<string>
  readonly reasons: ReadonlyMap<string, string>
}

/** One author, who records what must come out and serves it; readers as we are, and as an ordinary user when we are root. */
let place: Place
let key: string
let recorded: Record<string, string | null>
let stop: () => Promise<void>
const readers = new Map<string, Reader>()

async function makeReader(folder: string, peer: string, other: boolean): Promise<Reader> {
  const options = { env: { REPRO_PEERS: peer } }
  const person = new Person(folder, other ? { ...options, launch: place.launch } : options)
  const { result } = await person.json(['doctor'])
  const { runtimes } = result as HostReport
  return {
    person,
    works: new Set(runtimes.filter(one => one.works).map(one => one.name)),
    reasons: new Map(runtimes.map(one => [one.name, one.reason ?? ''])),
  }
}

const hashes = (outputs: readonly OutputResult[]) =>
  Object.fromEntries(outputs.map(({ path, blake3 }) => [path, blake3]))

beforeAll(async () => {
  if (reason !== null) return
  place = makePlace(checkout)
  const author = new Person(place.publisher)
  const folder = join(place.publisher, 'alignment')
  cpSync(join(checkout, 'fixtures/experiments/bowtie2'), folder, { recursive: true })
  cpSync(join(lambdaPhage, 'data'), join(folder, 'data'), { recursive: true })
  mkdirSync(join(folder, 'images'))
  cpSync(
    await debianImage(['bash', 'coreutils', 'bowtie2', 'samtools']),
    join(folder, 'images/tools.oci.tar'),
  )
  const { result } = await author.json(['run', folder, '--record'])
  recorded = hashes((result.receipt as Receipt).outputs)
  const published = await author.json(['publish', folder, '--tag', 'v1'])
  key = published.result.key
  const sharing = await share(author, ['--listen', '127.0.0.1:0'], end => {
    stop = end
  })
  readers.set('ourselves', await makeReader(join(place.base, 'ourselves'), sharing.peer, false))
  if (isRoot) readers.set('an ordinary user', await makeReader(place.reader, sharing.peer, true))
}, 300_000)

afterAll(async () => {
  await stop?.()
  if (place) rmSync(place.base, { recursive: true, force: true })
})

describe.each([
  ['ourselves', null],
  ['an ordinary user', isRoot ? null : 'only root can become another user'],
] as const)('bowtie2 and samtools in a Debian image, as %s', (who, whyNot) => {
  it.for(WITH_IMAGE)(
    'give the recorded outputs under %s',
    { timeout: 240_000 },
    async (runtime, test) => {
      if (reason ?? whyNot) test.skip(reason ?? whyNot ?? '')
      const { person, works, reasons } = readers.get(who)!
      if (!works.has(runtime)) test.skip(`${runtime} does not work here: ${reasons.get(runtime)}`)
      const { result } = await person.json(['run', `${key}@v1`, '--runtime', runtime])
      const receipt = result.receipt as Receipt
      expect(receipt).toMatchObject({ verdict: 'reproduced', runtime: { name: runtime } })
      expect(hashes(receipt.outputs)).toEqual(recorded)
      expect(Object.values(recorded)).not.toContain(null)
    },
  )
})
