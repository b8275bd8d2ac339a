import type { WorkRecord } from '../../../schemas/index.ts'
import { surveyFolder } from '../../author/prepare.ts'
import {
  type PublishedFolder,
  type PublishFolderOptions,
  publishFolder,
} from '../../author/publish-folder.ts'
import type { Settings } from '../../core/settings.ts'
import { withHome } from './open-source.ts'

export type PublishOptions = Omit<PublishFolderOptions, 'settings' | 'survey'>
export type { PublishedFolder } from '../../author/publish-folder.ts'

/**
 * Publishes a folder as a new release of its bundle. The folder is walked while the store is opened.
 * Throws what `publishFolder` throws, and STORE_BUSY.
 */
export async function* publish(
  settings: Settings,
  folder: string,
  options: PublishOptions = {},
): AsyncGenerator<WorkRecord, PublishedFolder> {
  const end = new AbortController()
  const signal = options.signal ? AbortSignal.any([options.signal, end.signal]) : end.signal
  const survey = surveyFolder(folder, { ...options, settings, signal })
  // Whoever awaits it hears of it; when the store cannot be opened nobody does.
  survey.catch(() => undefined)
  try {
    return yield* withHome(settings, async function* (home) {
      return yield* publishFolder(home, folder, { settings, survey, ...options })
    })
  } finally {
    end.abort()
  }
}
