/** z-base-32 (Zooko 2002), the text form of keys: 32 bytes are 52 characters. */
const ALPHABET = 'ybndrfg8ejkmcpqxot1uwisza345h769'
const VALUES = new Map([...ALPHABET].map((ch, i) => [ch, i]))

export function encodeZ32(bytes: Uint8Array): string {
  let text = ''
  let bits = 0
  let value = 0
  for (const byte of bytes) {
    value = ((value << 8) | byte) & 0x1fff
    bits += 8
    while (bits >= 5) {
      bits -= 5
      text += ALPHABET[(value >> bits) & 31]
    }
  }
  if (bits > 0) text += ALPHABET[(value << (5 - bits)) & 31]
  return text
}

/** The bytes of `text`, or null when it is no canonical z-base-32 of whole bytes. */
export function decodeZ32(text: string): Buffer | null {
  const out: number[] = []
  let bits = 0
  let value = 0
  for (const ch of text) {
    const v = VALUES.get(ch)
    if (v === undefined) return null
    value = ((value << 5) | v) & 0x1fff
    bits += 5
    if (bits >= 8) {
      bits -= 8
      out.push((value >> bits) & 255)
    }
  }
  const bytes = Buffer.from(out)
  return encodeZ32(bytes) === text ? bytes : null
}
