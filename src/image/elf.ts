/** What an ELF file says about how it is started (System V ABI; Tool Interface Standard 1.2). */
export interface ElfFacts {
  /** As OCI names it: `amd64`, `arm64` …; null for a machine without a name. */
  readonly architecture: string | null
  /** The dynamic loader it asks for; null for static programs and for libraries. */
  readonly interpreter: string | null
  /** True when it names libraries to be loaded with it. */
  readonly dynamic: boolean
}

const MACHINES: Readonly<Record<number, string>> = {
  3: '386',
  20: 'ppc',
  21: 'ppc64le',
  22: 's390x',
  40: 'arm',
  62: 'amd64',
  183: 'arm64',
  243: 'riscv64',
  258: 'loong64',
}
const PT_DYNAMIC = 2
const PT_INTERP = 3
/** Bytes of the beginning of a file that `readElf` needs for any sane ELF file. */
export const ELF_HEAD_BYTES = 4096

export function isElf(head: Buffer): boolean {
  return head.length >= 20 && head.readUInt32BE(0) === 0x7f454c46
}

/** The architecture of an ELF file by its first 20 bytes, or null. */
export function elfArchitecture(head: Buffer): string | null {
  if (!isElf(head)) return null
  const little = head[5] === 1
  const machine = little ? head.readUInt16LE(18) : head.readUInt16BE(18)
  if (machine === 21 && !little) return 'ppc64'
  return MACHINES[machine] ?? null
}

/** Reads the program headers in the first ELF_HEAD_BYTES of a file; null when it is no ELF file. */
export function readElf(head: Buffer): ElfFacts | null {
  if (!isElf(head) || head.length < 64) return null
  const wide = head[4] === 2
  const little = head[5] === 1
  const u16 = (at: number) => (little ? head.readUInt16LE(at) : head.readUInt16BE(at))
  const u32 = (at: number) => (little ? head.readUInt32LE(at) : head.readUInt32BE(at))
  const u64 = (at: number) => Number(little ? head.readBigUInt64LE(at) : head.readBigUInt64BE(at))
  const table = wide ? u64(32) : u32(28)
  const size = u16(wide ? 54 : 42)
  const count = u16(wide ? 56 : 44)
  let interpreter: string | null = null
  let dynamic = false
  for (let i = 0; i < count; i++) {
    const at = table + i * size
    if (at + 40 > head.length) break
    const type = u32(at)
    if (type === PT_DYNAMIC) dynamic = true
    if (type !== PT_INTERP) continue
    const offset = wide ? u64(at + 8) : u32(at + 4)
    const length = wide ? u64(at + 32) : u32(at + 16)
    interpreter = head
      .subarray(offset, offset + length)
      .toString('utf8')
      .replace(/\0.*$/s, '')
  }
  return { architecture: elfArchitecture(head), interpreter: interpreter || null, dynamic }
}
