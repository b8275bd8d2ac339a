import type Hypercore from 'hypercore'
import { fail } from '../core/errors.ts'

/** The version of Hypercore whose inside this file knows; another one is refused by test/archive/durable-gate.test.ts. */
export const GATED_HYPERCORE = '11.37.1'

/** The part of a SessionState of Hypercore that says which tree it has. */
interface TreeState {
  readonly fork: number
  readonly length: number
  readonly byteLength: number
  readonly roots: readonly unknown[]
  readonly signature: Buffer | null
}

interface Bits {
  get(index: number): boolean
  want(start: number, length: number): Iterable<{ start: number; bitfield: Uint32Array }>
}

interface Replicator {
  core: object
  readonly peers: readonly { core: object }[]
  cork(): void
  uncork(): void
  onupgrade(): void
  onhave(start: number, length: number, drop?: boolean): void
  _makePeer(muxer: unknown): boolean
  _onwant(peer: unknown, start: number, length: number, any: boolean): void
}

/** The Core behind all sessions of one Hypercore. */
interface Core {
  readonly state: TreeState & { append(...args: unknown[]): Promise<unknown> }
  readonly header: { readonly hints: { readonly contiguousLength: number } }
  readonly bitfield: Bits
  readonly replicator: Replicator
  _verifyExclusive(op: unknown): Promise<boolean>
}

const gates = new WeakMap<Core, DurableGate>()

/**
 * Keeps peers of a writable core from what is not durable yet: they are told of, and served, no block behind the last
 * length that was passed on. Without it Hypercore broadcasts each append at once, and a power cut after that makes the
 * author write another history under the same key. Reading the core here is not changed.
 */
export class DurableGate {
  /** Ends before each append of this process; what it throws, the append throws. */
  beforeWrite: () => Promise<void> = async () => undefined
  readonly #core: Core
  #durable: TreeState

  private constructor(core: Core) {
    this.#core = core
    this.#durable = treeOf(core.state)
    this.#install()
  }

  /** The gate of a core that is ready; what it has now counts as durable. The same gate for the same core. */
  static of(hypercore: Hypercore): DurableGate {
    const core = coreOf(hypercore)
    let gate = gates.get(core)
    if (!gate) {
      gate = new DurableGate(core)
      gates.set(core, gate)
    }
    return gate
  }

  /** How far peers can see. */
  get length(): number {
    return this.#seen.length
  }

  /** Whether peers can see all that the core has. */
  get level(): boolean {
    return this.length === this.#core.state.length
  }

  /** Notes what the core has now. Call what is returned once that is durable: peers get it then, without reconnecting. */
  mark(): () => void {
    const tree = treeOf(this.#core.state)
    return () => this.#pass(tree)
  }

  get #seen(): TreeState {
    const { state } = this.#core
    const passed = this.#durable
    return passed.fork === state.fork && passed.length <= state.length ? passed : state
  }

  #pass(tree: TreeState): void {
    const { length } = this.#seen
    if (tree.fork !== this.#core.state.fork || tree.length <= length) return
    this.#durable = tree
    const { replicator } = this.#core
    replicator.cork()
    replicator.onupgrade()
    replicator.onhave(length, tree.length - length)
    replicator.uncork()
  }

  #install(): void {
    const core = this.#core
    const { replicator } = core
    const view = this.#view()
    const seenByPeers = Object.create(replicator, { core: { value: view } }) as Replicator
    const { _makePeer: makePeer, onhave, _onwant: onwant } = replicator
    // A peer keeps the core that its replicator has while it is made.
    replicator._makePeer = function (muxer) {
      this.core = view
      try {
        return makePeer.call(this, muxer)
      } finally {
        this.core = core
      }
    }
    replicator.onhave = (start, length, drop) => {
      const end = drop ? start + length : Math.min(start + length, this.length)
      if (end > start) onhave.call(replicator, start, end - start, drop)
    }
    replicator._onwant = (peer, start, length, any) => {
      if (start < this.length) onwant.call(seenByPeers, peer, start, length, any)
    }
    for (const peer of replicator.peers) peer.core = view
    const { append } = core.state
    core.state.append = async (...args) => {
      await this.beforeWrite()
      return await append.apply(core.state, args)
    }
    const verify = core._verifyExclusive
    // What came from peers need not be kept from them.
    core._verifyExclusive = async op => {
      const level = core.state.length === this.length
      const upgraded = await verify.call(core, op)
      if (level) this.#pass(treeOf(core.state))
      return upgraded
    }
  }

  /** The core as its peers have it: all of it, but for what is behind the gate. */
  #view(): object {
    const core = this.#core
    const bound = new Map<unknown, unknown>()
    const bits = Object.create(core.bitfield, {
      get: { value: (index: number) => index < this.length && core.bitfield.get(index) },
      want: { value: (start: number, length: number) => this.#want(start, length) },
    })
    let tree: TreeState | null = null
    let state: object = core.state
    return new Proxy(core, {
      get: (target, name) => {
        if (name === 'state') {
          if (tree !== this.#seen) {
            tree = this.#seen
            state = tree === core.state ? core.state : Object.create(core.state, valuesOf(tree))
          }
          return state
        }
        if (name === 'bitfield') return bits
        if (name === 'header') return this.#header()
        const value = Reflect.get(target, name, target) as unknown
        if (typeof value !== 'function') return value
        if (!bound.has(value)) bound.set(value, value.bind(target))
        return bound.get(value)
      },
      set: (target, name, value) => Reflect.set(target, name, value, target),
    })
  }

  #header(): object {
    const { header } = this.#core
    const { contiguousLength } = header.hints
    if (contiguousLength <= this.length) return header
    const hints = Object.create(header.hints, { contiguousLength: { value: this.length } })
    return Object.create(header, { hints: { value: hints } })
  }

  *#want(start: number, length: number) {
    for (const page of this.#core.bitfield.want(start, length)) {
      const known = this.length - page.start
      if (known >= page.bitfield.length * 32) {
        yield page
        continue
      }
      const bitfield = page.bitfield.slice()
      const word = Math.max(0, known) >>> 5
      if (word < bitfield.length) {
        bitfield[word]! &= 2 ** (Math.max(0, known) & 31) - 1
        bitfield.fill(0, word + 1)
      }
      yield { ...page, bitfield }
    }
  }
}

function treeOf({ fork, length, byteLength, roots, signature }: TreeState): TreeState {
  return { fork, length, byteLength, roots, signature }
}

function valuesOf(tree: TreeState): PropertyDescriptorMap {
  return Object.fromEntries(Object.entries(tree).map(([name, value]) => [name, { value }]))
}

function coreOf(hypercore: Hypercore): Core {
  const { core } = hypercore as unknown as { core?: Core }
  const known =
    typeof core?.replicator?._makePeer === 'function' &&
    typeof core.replicator._onwant === 'function' &&
    typeof core.replicator.onhave === 'function' &&
    typeof core._verifyExclusive === 'function' &&
    typeof core.state?.length === 'number'
  if (!known)
    fail('INTERNAL', `Hypercore is not the version ${GATED_HYPERCORE} that repro is made for`, {
      hints: ['install repro again with its own lock file'],
    })
  return core
}
