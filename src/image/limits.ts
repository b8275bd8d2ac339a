/** Bounds on what an image from a stranger may cost. An image beyond them is IMAGE_INVALID. */
export const MAX_ENTRIES = 4_000_000
export const MAX_LAYERS = 512
export const MAX_PATH_BYTES = 4095
export const MAX_NAME_BYTES = 255
/** One PAX header or GNU long name. */
export const MAX_EXTENDED_HEADER_BYTES = 1 << 20
/** index.json, a manifest, a configuration. */
export const MAX_DOCUMENT_BYTES = 4 << 20
/** Links followed on the way to one entry, as in Linux. */
export const MAX_LINKS_FOLLOWED = 40
/** Steps of all path walks of one image together: bounds chains of long links. */
export const MAX_WALK_STEPS = 200_000_000
/** Files up to this size are written side by side; larger ones one after another. */
export const SMALL_FILE_BYTES = 1 << 20
