import type { WorkRecord } from '../../../schemas/index.ts'
import { type InitOptions, type InitResult, initFolder } from '../../author/init.ts'

export type { InitOptions, InitResult } from '../../author/init.ts'

/** Writes a commented `repro.yaml` from what lies in the folder. Throws what `initFolder` throws. */
export async function* init(
  folder: string,
  options: InitOptions = {},
): AsyncGenerator<WorkRecord, InitResult> {
  yield { action: 'check', status: 'start', subject: folder }
  return await initFolder(folder, options)
}
