/**
 * System calls of the kernel's keyrings, add_key, request_key and keyctl, by AUDIT_ARCH number. The caller's session
 * keyring (Kerberos tickets, keys of encrypted folders) goes with a process through every namespace, so they are refused.
 */
const CALLS: Partial<Record<NodeJS.Architecture, readonly (readonly [number, number])[]>> = {
  x64: [
    [0xc000003e, 248],
    [0x40000003, 286],
  ],
  arm64: [
    [0xc00000b7, 217],
    [0x40000028, 309],
  ],
}

const LOAD = 0x20
const AND = 0x54
const IF_EQUAL = 0x15
const IF_AT_LEAST = 0x35
const RETURN = 0x06
const ALLOW = 0x7fff0000
const FAIL_WITH_ENOSYS = 0x00050026

/**
 * A program for seccomp (classic BPF, little-endian) that lets everything pass but the three calls, which fail as
 * on a kernel without keyrings. Null for a processor that we have no numbers for.
 */
export function keyringFilter(architecture: NodeJS.Architecture = process.arch): Buffer | null {
  const calls = CALLS[architecture]
  if (!calls) return null
  const program: (readonly [number, number, number, number])[] = []
  for (const [arch, first] of calls)
    program.push(
      [LOAD, 0, 0, 4],
      [IF_EQUAL, 0, 5, arch],
      [LOAD, 0, 0, 0],
      // The bit of x32, whose numbers are else those of x64.
      [AND, 0, 0, 0xbfffffff],
      [IF_AT_LEAST, 0, 2, first],
      [IF_AT_LEAST, 1, 0, first + 3],
      [RETURN, 0, 0, FAIL_WITH_ENOSYS],
    )
  program.push([RETURN, 0, 0, ALLOW])
  const bytes = Buffer.alloc(program.length * 8)
  program.forEach(([code, yes, no, value], i) => {
    bytes.writeUInt16LE(code, i * 8)
    bytes.writeUInt8(yes, i * 8 + 2)
    bytes.writeUInt8(no, i * 8 + 3)
    bytes.writeUInt32LE(value, i * 8 + 4)
  })
  return bytes
}
