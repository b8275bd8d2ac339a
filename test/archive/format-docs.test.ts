import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { bundleFile, checkoutFile, indexEntry, segmentLine } from '../../schemas/index.ts'
import { encodeCoreManifest } from '../../src/archive/core-manifest.ts'
import { checkRecord, signedText, signRecord } from '../../src/archive/release-record.ts'
import { canonicalJson } from '../../src/core/canonical-json.ts'
import { formatReference, parseReference } from '../../src/core/reference.ts'
import { signingKeyFromSeed } from '../../src/system/signing.ts'

const page = (name: string) =>
  readFileSync(new URL(`../../docs/format/${name}`, import.meta.url), 'utf8')
const blocks = (name: string, language: string) =>
  [...page(name).matchAll(new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\``, 'gms'))].map(
    match => match[1]!,
  )

test('the example record verifies, and is the one its seed signs', async () => {
  const [example] = blocks('release.md', 'json')
  const record = JSON.parse(example!)
  expect(await checkRecord(canonicalJson(record))).toEqual(record)
  const key = signingKeyFromSeed(Buffer.alloc(32, 1))
  expect(record.coreManifest).toBe(encodeCoreManifest(key.publicKey))
  expect(signRecord(record, key).record).toEqual(record)
  expect(blocks('release.md', 'text')).toContain(`${signedText(record)}\n`)
})

test('the example lines of an index are entries and segment lines', () => {
  const lines = blocks('index.md', 'jsonl').map(block => block.trimEnd().split('\n'))
  expect(lines.length).toBe(2)
  for (const line of lines[0]!) expect(canonicalJson(indexEntry.parse(JSON.parse(line)))).toBe(line)
  for (const line of lines[1]!)
    expect(canonicalJson(segmentLine.parse(JSON.parse(line)))).toBe(line)
})

test('the example files beside a checkout, and the references, are valid', () => {
  const [bundle, checkout] = blocks('README.md', 'json').map(text => JSON.parse(text))
  bundleFile.parse(bundle)
  checkoutFile.parse(checkout)
  const references = blocks('README.md', 'text')
    .flatMap(block => block.split('\n'))
    .filter(line => line.startsWith('ref '))
  expect(references.length).toBeGreaterThan(4)
  for (const line of references) {
    const text = line.slice(4)
    expect(formatReference(parseReference(text))).toBe(text)
  }
})
