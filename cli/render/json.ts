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
    else this.#output.record({ ...record, data: { base64: Buffer.from(bytes).toString('base64') } })
  }

  async close(): Promise<void> {}
}
