import { ReproError } from '../../core/errors.ts'

const KEPT = 1000

/** A block that could not be read as it was stored. */
export interface BlockFault {
  readonly path: string
  readonly offset: number
  readonly length: number
  readonly reason: 'damaged' | 'missing' | 'source changed' | 'source missing'
}

/** The faults of a store, each place once. */
export class BlockFaults {
  readonly #faults = new Map<string, BlockFault>()

  get all(): readonly BlockFault[] {
    return [...this.#faults.values()]
  }

  /** Whether what lies at a place was found damaged. */
  has(path: string, offset: number): boolean {
    return this.#faults.has(`${offset}:${path}`)
  }

  note(fault: BlockFault): void {
    const place = `${fault.offset}:${fault.path}`
    this.#faults.delete(place)
    this.#faults.set(place, fault)
    for (const oldest of this.#faults.keys()) {
      if (this.#faults.size <= KEPT) break
      this.#faults.delete(oldest)
    }
  }
}

export function blockDamaged(fault: BlockFault, cause?: unknown): ReproError {
  const place = `"${fault.path}" at byte ${fault.offset}`
  const message = {
    damaged: `a block is damaged on disk, in ${place}`,
    missing: `a block is missing on disk, from ${place}`,
    'source changed': `a published file has changed since, in ${place}`,
    'source missing': `a published file is gone: ${place}`,
  }[fault.reason]
  return new ReproError('BLOCK_DAMAGED', message, {
    hints: fault.reason.startsWith('source')
      ? ['bring the file back as it was published, or publish the folder again']
      : ['check the disk, then fetch what is damaged anew: repro verify --repair'],
    data: { damaged: true, ...fault },
    cause,
  })
}
