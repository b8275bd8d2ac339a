import { isUtf8 } from 'node:buffer'
import type { WorkRecord } from '../../schemas/index.ts'
import type { Output } from './output.ts'
import type { View } from './view.ts'

/** Every record as it is, one a line. The result of a command is not here: the command prints it last. */
export class JsonView implements View {
  readonly #output: Output
  constructor(output: Output) {
    this.#output = output
  }

  take(record: WorkRecord): void {
    if (record.action === 'result') return
    const bytes = record.data?.['bytes']
    if (!(bytes instanceof Uint8Array)) this.#output.record(record)
    else if (record.message === undefined) this.#output.record({ ...record, ...textOf(bytes) })
    else if (record.message !== '') {
      const { data: _, ...rest } = record
      this.#output.record(rest)
    }
  }

  async close(): Promise<void> {}
}

/** Bytes in JSON: as `message` when they are UTF-8, else as base64 in `data`. */
function textOf(bytes: Uint8Array): { message: string; data: object } | { data: object } {
  return isUtf8(bytes)
    ? { message: Buffer.from(bytes).toString('utf8'), data: {} }
    : { data: { base64: Buffer.from(bytes).toString('base64') } }
}
