import { createPublicKey, verify } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { blake2b, blake3 } from 'hash-wasm'
import { describe, expect, it } from 'vitest'
import { checkRecord } from '../../src/archive/release-record.ts'
import { canonicalJson } from '../../src/core/canonical-json.ts'
import { compilePattern } from '../../src/core/glob.ts'
import { manifestFaults } from '../../src/core/manifest-faults.ts'
import { formatKey } from '../../src/core/reference.ts'
import { hashRootfsEntries } from '../../src/image/rootfs-hash.ts'
import { verdictOf } from '../../src/run/compare/verdict.ts'
import { signReceipt, verifyReceipt } from '../../src/run/receipt.ts'
import { signingKeyFromSeed } from '../../src/system/signing.ts'
import { checkout } from '../helpers/cli.ts'

const read = (path: string) => readFileSync(join(checkout, path), 'utf8')
const vector = (name: string) => JSON.parse(read(`fixtures/format/${name}.json`))

/** By Node's crypto alone, as anybody would. */
function isSigned(publicKey: string, text: string, signature: string): boolean {
  const der = Buffer.from(`302a300506032b6570032100${publicKey}`, 'hex')
  const key = createPublicKey({ key: der, format: 'der', type: 'spki' })
  return verify(null, Buffer.from(text), key, Buffer.from(signature, 'hex'))
}

describe('the vector of', () => {
  it('a release record is proven by the steps of the page', async () => {
    const { record, signedText, publicKey, seed } = vector('release-record')
    const { signature, ...unsigned } = record
    expect(signedText).toBe(`repro-release-v1\n${canonicalJson(unsigned)}`)
    expect(isSigned(publicKey, signedText, signature)).toBe(true)
    expect(isSigned(publicKey, signedText.replace('v1"', 'v2"'), signature)).toBe(false)
    const constants = [...read('docs/format/release.md').matchAll(/= `([0-9a-f]{64})`/g)]
    const [manifests, namespace] = [constants[1]![1]!, constants[0]![1]!]
    const core = await blake2b(Buffer.from('hypercore'), 256)
    const spaced = (n: string) => blake2b(Buffer.from(core + n, 'hex'), 256)
    expect([await spaced('03'), await spaced('04')]).toEqual([manifests, namespace])
    expect(record.coreManifest).toBe(`010000010100${namespace}${publicKey}`)
    const key = await blake2b(Buffer.from(manifests + record.coreManifest, 'hex'), 256)
    expect(formatKey(Buffer.from(key, 'hex'))).toBe(record.key)
    expect(signingKeyFromSeed(Buffer.from(seed, 'hex')).publicKey).toBe(publicKey)
    expect(await checkRecord(canonicalJson(record))).toEqual(record)
  })

  it('a receipt is proven by the steps of the page, and by ours, until something of it is changed', () => {
    const { receipt, signedText, seed } = vector('receipt')
    const { signature, ...unsigned } = receipt
    expect(signedText).toBe(`repro-receipt-v1\n${canonicalJson(unsigned)}`)
    expect(isSigned(receipt.signer, signedText, signature)).toBe(true)
    expect(verifyReceipt(receipt)).toEqual(receipt)
    const { signer: _, ...body } = unsigned
    expect(signReceipt(body, signingKeyFromSeed(Buffer.from(seed, 'hex')))).toEqual(receipt)
    expect(verdictOf(receipt.outcome, receipt.outputs, false)).toBe(receipt.verdict)
    const changed = { ...receipt, verdict: 'reproduced' }
    expect(() => verifyReceipt(changed)).toThrow('was changed after it was signed')
  })
})

describe('the page of', () => {
  const manifestPage = read('docs/format/manifest.md')

  it('manifests has an example that obeys the rules, with its content hash', async () => {
    const manifest = JSON.parse(/```json manifest\n([\s\S]*?)```/.exec(manifestPage)![1]!)
    expect(manifestFaults(manifest)).toEqual([])
    const hash = await blake3(canonicalJson(manifest))
    expect(manifestPage).toContain(`the content hash \`blake3:${hash}\``)
  })

  it('manifests says what patterns match', () => {
    const rows = [...manifestPage.matchAll(/^\| `([^`]+)` \| (`.*`|everything) \| (.*)\|$/gm)]
    const paths = (cell: string) => [...cell.matchAll(/`([^`]+)`/g)].map(match => match[1]!)
    const patterns = rows.filter(row => /[*?/]|^data$/.test(row[1]!))
    expect(patterns.length).toBe(6)
    for (const [, text, yes, no] of patterns) {
      const { matches } = compilePattern(text!)
      for (const path of paths(yes!))
        expect([text, path, matches(path)]).toEqual([text, path, true])
      for (const path of paths(no!))
        expect([text, path, matches(path)]).toEqual([text, path, false])
    }
  })

  it('images has tree hashes of the trees it describes', async () => {
    const hashes = [...read('docs/format/image.md').matchAll(/has `(blake3:[0-9a-f]{64})`/g)]
    const [empty, small] = hashes.map(match => match[1])
    expect(hashRootfsEntries([])).toBe(empty)
    const lines = [
      'bin\0d\n',
      `bin/sh\0x${await blake3('x')}\n`,
      `etc\0f${await blake3('')}\n`,
      'lib\0lusr/lib\n',
    ]
    expect(`blake3:${await blake3(`repro-rootfs-v0\n${lines.join('')}`)}`).toBe(small)
  })
})
