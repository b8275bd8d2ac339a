import type { Quad } from './quad-scan.mjs'

/** What is looked for in the heads of files. */
export interface HeadForm {
  readonly form: RegExp
  /** One of these stands wherever the form does: what has none need not be searched. */
  readonly quads: readonly Quad[]
}

export function readTextHead(path: string): string | null
/** Whether the form is found in the head of a text file. */
export function createHeadSearch(what: HeadForm): (path: string) => boolean
