/** A file of the author's as the walk found it. */
export interface SourceFile {
  /** Path in the bundle. */
  readonly path: string
  /** Where it lies. */
  readonly absolute: string
  readonly size: number
  /** As `formatFileState` gives it, from the walk. */
  readonly state: string
}
