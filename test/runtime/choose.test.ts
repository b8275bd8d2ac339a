import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { fidelities, type RuntimeReport } from '../../schemas/index.ts'
import { type ChoiceOptions, chooseRuntime, type RuntimeNeeds } from '../../src/runtime/choose.ts'
import { adapters } from '../../src/runtime/registry.ts'
import { brokenReport, workingReport } from '../../src/runtime/report.ts'

const names = adapters.map(adapter => adapter.name)
const working = adapters.map(adapter => workingReport(adapter))
const plain: RuntimeNeeds = {
  image: true,
  network: 'none',
  refuse: [],
  limits: {},
  imageArchitecture: 'amd64',
}
const here: ChoiceOptions = { hostArchitecture: 'x64' }

const someReports = fc
  .tuple(
    ...adapters.map(adapter =>
      fc.record({
        kind: fc.constantFrom('works', 'broken', 'absent'),
        networkOff: fc.boolean(),
        limits: fc.boolean(),
        adapter: fc.constant(adapter),
      }),
    ),
  )
  .map(all =>
    all.flatMap(({ kind, adapter, networkOff, limits }): RuntimeReport[] => {
      if (kind === 'absent') return []
      return kind === 'works'
        ? [workingReport(adapter, { facts: { networkOff, limits } })]
        : [brokenReport(adapter, { reason: 'broken', remedies: ['mend it'] })]
    }),
  )
const someNeeds = fc.record(
  {
    image: fc.boolean(),
    network: fc.constantFrom('none' as const, 'host' as const),
    refuse: fc.subarray([...names]),
    limits: fc.constantFrom({}, { cpus: 2 }, { memoryBytes: 1e9 }),
    imageArchitecture: fc.constantFrom(null, 'amd64', 'arm64', '386'),
    minFidelity: fc.constantFrom(...fidelities),
    architectures: fc.subarray(['amd64', 'x86_64', 'aarch64']),
    gpu: fc.boolean(),
  },
  { requiredKeys: ['image', 'network', 'refuse', 'limits', 'imageArchitecture'] },
)
const someOptions = fc.record(
  {
    named: fc.constantFrom(...names),
    order: fc.array(fc.constantFrom(...names, 'nonsense'), { maxLength: 6 }),
    hostArchitecture: fc.constantFrom('x64', 'arm64'),
  },
  { requiredKeys: ['hostArchitecture'] },
)

describe('chooseRuntime', () => {
  it('never picks a runtime that breaks what was declared', () => {
    fc.assert(
      fc.property(someReports, someNeeds, someOptions, (reports, needs, options) => {
        const { chosen } = chooseRuntime(reports, needs as RuntimeNeeds, options as ChoiceOptions)
        if (!chosen) return
        const { adapter, report } = chosen
        expect(report.works).toBe(true)
        expect(needs.refuse).not.toContain(adapter.name)
        if (adapter.name === 'host') expect(options.named).toBe('host')
        else {
          expect(needs.image).toBe(true)
          expect(needs.gpu ?? false).toBe(false)
          if (needs.network === 'none') expect(adapter.abilities.networkOff).toBe(true)
          const host = options.hostArchitecture === 'x64' ? ['amd64', '386'] : ['arm64']
          if (needs.imageArchitecture) expect(host).toContain(needs.imageArchitecture)
        }
        if (needs.minFidelity)
          expect(fidelities.indexOf(adapter.fidelity)).toBeLessThanOrEqual(
            fidelities.indexOf(needs.minFidelity),
          )
        if (options.named) expect(adapter.name).toBe(options.named)
      }),
    )
  })

  it('gives the same choice in whatever order the reports come', () => {
    fc.assert(
      fc.property(someReports, someNeeds, someOptions, (reports, needs, options) => {
        const choose = (all: readonly RuntimeReport[]) =>
          chooseRuntime(all, needs as RuntimeNeeds, options as ChoiceOptions)
        expect(choose([...reports].reverse())).toEqual(choose(reports))
      }),
    )
  })

  it('gives a reason for every runtime before the chosen one, and what to type when none fits', () => {
    fc.assert(
      fc.property(someReports, someNeeds, someOptions, (reports, needs, options) => {
        const choice = chooseRuntime(reports, needs as RuntimeNeeds, options as ChoiceOptions)
        for (const refusal of choice.refused) expect(refusal.reason).toMatch(/^\S.*[^.\s]$/)
        if (choice.chosen) expect(choice.remedies).toEqual([])
        else {
          expect(choice.remedies.length).toBeGreaterThan(0)
          expect(choice.refused.length).toBe(options.named ? 1 : adapters.length)
        }
      }),
    )
  })

  it('prefers bubblewrap, then what the user puts first', () => {
    expect(chooseRuntime(working, plain, here).chosen?.adapter.name).toBe('bubblewrap')
    const choice = chooseRuntime(working, plain, { ...here, order: ['podmann', 'podman'] })
    expect(choice.chosen?.adapter.name).toBe('podman')
    expect(choice.notes.join()).toContain('did you mean "podman"')
    expect(choice.spare).toEqual(['bubblewrap', 'unshare'])
  })

  it('takes the host only by name, and says what it cannot hold', () => {
    const hostOnly = working.filter(report => report.name === 'host')
    expect(chooseRuntime(hostOnly, plain, here).chosen).toBeNull()
    expect(chooseRuntime(hostOnly, plain, here).remedies.join()).toContain('--runtime host')
    const named = chooseRuntime(hostOnly, plain, { ...here, named: 'host' })
    expect(named.chosen?.adapter.name).toBe('host')
    expect(named.notes).toContain('the network could not be switched off for the app')
  })

  it('tells an image for another processor', () => {
    const choice = chooseRuntime(working, { ...plain, imageArchitecture: 'arm64' }, here)
    expect(choice.chosen).toBeNull()
    expect(choice.refused[0]?.reason).toBe('the image is for arm64 processors, this host has amd64')
  })

  it('names a runtime that has no adapter', () => {
    const choice = chooseRuntime(working, plain, { ...here, named: 'apptainer' })
    expect(choice.refused).toEqual([
      { runtime: 'apptainer', reason: 'this version of repro has no adapter for it' },
    ])
  })

  it('notes limits that are not enforced', () => {
    const limits = { cpus: 2, memoryBytes: 1e9 }
    expect(chooseRuntime(working, { ...plain, limits }, here).notes).toEqual([
      'the limit of cpus is not enforced by bubblewrap here',
      'the limit of memory is not enforced by bubblewrap here',
    ])
    const podman = chooseRuntime(working, { ...plain, limits }, { ...here, named: 'podman' })
    expect(podman.notes).toEqual([])
  })
})
