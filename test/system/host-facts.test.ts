import { describe, expect, it } from 'vitest'
import { cpuLevel, ociArchitecture, readHostFacts } from '../../src/system/host-facts.ts'

const V1 = ['cmov', 'cx8', 'fpu', 'fxsr', 'mmx', 'syscall', 'sse', 'sse2']
const V2 = [...V1, 'cx16', 'lahf_lm', 'popcnt', 'pni', 'sse4_1', 'sse4_2', 'ssse3']

describe('host facts', () => {
  it('name processors as images do', () => {
    expect(['x64', 'x86_64', 'amd64', 'AMD64'].map(ociArchitecture)).toEqual(Array(4).fill('amd64'))
    expect(['arm64', 'aarch64', 'riscv64'].map(ociArchitecture)).toEqual([
      ...['arm64', 'arm64', 'riscv64'],
    ])
  })

  it('grade x86 processors by what they have, not by a single flag', () => {
    expect(cpuLevel([])).toBeNull()
    expect(cpuLevel(V1)).toBe('x86-64')
    expect(cpuLevel(V2)).toBe('x86-64-v2')
    expect(cpuLevel([...V2, 'avx', 'avx2'])).toBe('x86-64-v2')
  })

  it('read this host', async () => {
    const facts = await readHostFacts()
    expect(facts.cpus).toBeGreaterThan(0)
    expect(facts.memoryBytes).toBeGreaterThan(1e8)
    expect(facts.kernel).toMatch(/^\d+\.\d+/)
    expect(facts.uid).toBe(process.getuid!())
  })
})
