import type { WorkRecord } from '../../../schemas/index.ts'
import {
  type PublishedFolder,
  type PublishFolderOptions,
  publishFolder,
} from '../../author/publish-folder.ts'
import type { Settings } from '../../core/settings.ts'
import { withHome } from './open-source.ts'

export type PublishOptions = Omit<PublishFolderOptions, 'settings'>
export type { PublishedFolder } from '../../author/publish-folder.ts'

/** Publishes a folder as a new release of its bundle. Throws what `publishFolder` throws, and STORE_BUSY. */
export async function* publish(
  settings: Settings,
  folder: string,
  options: PublishOptions = {},
): AsyncGenerator<WorkRecord, PublishedFolder> {
  return yield* withHome(settings, async function* (home) {
    return yield* publishFolder(home, folder, { settings, ...options })
  })
}
