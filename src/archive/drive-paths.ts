/** Where repro's own files lie in a drive, without the leading slash (docs/format/README.md). */
export const MANIFEST_PATH = '.repro/manifest.json'
export const INDEX_FOLDER = '.repro/index'
export const RELEASES_FOLDER = '.repro/releases'
export const IMAGES_FOLDER = '.repro/images'

export const segmentPath = (blake3: string) => `${INDEX_FOLDER}/${blake3}.jsonl`
export const recordPath = (release: number) => `${RELEASES_FOLDER}/${release}.json`

/** The release number that a path below `.repro/releases/` stands for, or null. */
export function releaseOfPath(path: string): number | null {
  const match = /^\.repro\/releases\/([1-9][0-9]{0,9})\.json$/.exec(path)
  return match ? Number(match[1]) : null
}
