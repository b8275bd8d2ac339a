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
    if (record.action !== 'result') this.#output.record(record)
  }

  async close(): Promise<void> {}
}
