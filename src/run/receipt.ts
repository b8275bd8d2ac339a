import { type Receipt, receipt } from '../../schemas/index.ts'
import { canonicalJson } from '../core/canonical-json.ts'
import { fail, ReproError } from '../core/errors.ts'
import { type SigningKey, verifySignature } from '../system/signing.ts'
import { homeFolder } from '../system/user.ts'

const CONTEXT = 'repro-receipt-v1\n'

/** A receipt before it is signed. */
export type ReceiptBody = Omit<Receipt, 'signer' | 'signature'>

/** Signs a receipt with the receipt key of a home: Ed25519 over `repro-receipt-v1\n` and the canonical receipt without `signature`. */
export function signReceipt(body: ReceiptBody, key: SigningKey): Receipt {
  const unsigned = { ...body, signer: key.publicKey }
  const signature = key.sign(CONTEXT + canonicalJson(unsigned))
  return receipt.parse({ ...unsigned, signature })
}

/**
 * Checks a receipt that came from anywhere: its form, and that its `signer` signed all of it.
 * Who the signer is, nobody but its owner can say. Throws RECORD_INVALID, SIGNATURE_INVALID.
 */
export function verifyReceipt(value: unknown): Receipt {
  const parsed = receipt.safeParse(value)
  if (!parsed.success)
    throw new ReproError('RECORD_INVALID', 'this is no valid receipt', { cause: parsed.error })
  const { signature, ...unsigned } = parsed.data
  if (!verifySignature(parsed.data.signer, CONTEXT + canonicalJson(unsigned), signature))
    fail('SIGNATURE_INVALID', `the receipt "${parsed.data.id}" was changed after it was signed`)
  return parsed.data
}

/** Places of this host that a receipt must not tell, and the word that stands for each. */
export type Places = readonly (readonly [path: string, word: string])[]

/** Before a path: no name that it would go on with, unless that is an option of one letter (`-I/usr/include`). */
const BEGINS = String.raw`(?:(?<![\p{L}\p{N}_.])|(?<=(?:^|\s)-\p{L}))`
/** Behind a path: no name that would make it another one (`/rootfs` is not below `/root`). */
const ENDS = String.raw`(?![\p{L}\p{N}_-]|\.[\p{L}\p{N}_])`

/**
 * Replaces the paths of this host in `text` by words, longest first, so that a receipt tells no user's name or folder.
 * Whole paths only: another one that merely begins or ends alike stays as it is.
 */
export function hidePlaces(
  text: string,
  places: Places,
  home: string | null = homeFolder(),
): string {
  const known: Places = [...places, [home ?? '', '$HOME']]
  const words = new Map(known.map(([path, word]) => [path.replace(/\/+$/, ''), word] as const))
  const paths = [...words.keys()].filter(path => path !== '').sort((a, b) => b.length - a.length)
  if (paths.length === 0) return text
  const either = paths.map(path => path.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&')).join('|')
  return text.replace(new RegExp(`${BEGINS}(?:${either})${ENDS}`, 'gu'), path => words.get(path)!)
}
