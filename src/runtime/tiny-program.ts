/** What the probe's program prints. */
export const TINY_OUTPUT = 'repro\n'

/** ELF machine numbers and code of `write(1, text, 6); exit(0)`, with the text right behind the code. */
const MACHINES: Partial<Record<NodeJS.Architecture, { machine: number; code: number[] }>> = {
  x64: {
    machine: 62,
    code: [
      ...[0xb8, 0x01, 0x00, 0x00, 0x00], // mov eax, 1 (write)
      ...[0xbf, 0x01, 0x00, 0x00, 0x00], // mov edi, 1
      ...[0x48, 0x8d, 0x35, 0x10, 0x00, 0x00, 0x00], // lea rsi, [rip + 16]
      ...[0xba, 0x06, 0x00, 0x00, 0x00], // mov edx, 6
      ...[0x0f, 0x05], // syscall
      ...[0xb8, 0x3c, 0x00, 0x00, 0x00], // mov eax, 60 (exit)
      ...[0x31, 0xff, 0x0f, 0x05], // xor edi, edi; syscall
    ],
  },
  arm64: {
    machine: 183,
    code: [
      ...[0x20, 0x00, 0x80, 0xd2], // mov x0, 1
      ...[0xe1, 0x00, 0x00, 0x10], // adr x1, . + 28
      ...[0xc2, 0x00, 0x80, 0xd2], // mov x2, 6
      ...[0x08, 0x08, 0x80, 0xd2], // mov x8, 64 (write)
      ...[0x01, 0x00, 0x00, 0xd4], // svc 0
      ...[0x00, 0x00, 0x80, 0xd2], // mov x0, 0
      ...[0xa8, 0x0b, 0x80, 0xd2], // mov x8, 93 (exit)
      ...[0x01, 0x00, 0x00, 0xd4], // svc 0
    ],
  },
}

const HEADERS = 64 + 56
const ADDRESS = 0x400000n

/**
 * A static Linux program of some 160 bytes that prints `TINY_OUTPUT`: what every probe starts, so that nothing of
 * the host is needed to try a runtime. Null for a processor that we have no code for.
 */
export function tinyProgram(architecture: NodeJS.Architecture = process.arch): Buffer | null {
  const target = MACHINES[architecture]
  if (!target) return null
  const body = Buffer.concat([Buffer.from(target.code), Buffer.from(TINY_OUTPUT)])
  const file = Buffer.alloc(HEADERS + body.length)
  file.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1])
  file.writeUInt16LE(2, 16)
  file.writeUInt16LE(target.machine, 18)
  file.writeUInt32LE(1, 20)
  file.writeBigUInt64LE(ADDRESS + BigInt(HEADERS), 24)
  file.writeBigUInt64LE(64n, 32)
  file.writeUInt16LE(64, 52)
  file.writeUInt16LE(56, 54)
  file.writeUInt16LE(1, 56)
  file.writeUInt16LE(64, 58)
  file.writeUInt32LE(1, 64)
  file.writeUInt32LE(5, 68)
  file.writeBigUInt64LE(ADDRESS, 80)
  file.writeBigUInt64LE(ADDRESS, 88)
  file.writeBigUInt64LE(BigInt(file.length), 96)
  file.writeBigUInt64LE(BigInt(file.length), 104)
  file.writeBigUInt64LE(0x1000n, 112)
  file.set(body, HEADERS)
  return file
}
