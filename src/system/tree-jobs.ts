/** A job of a thread has so many files, or so many bytes. */
const JOB_FILES = 128
const JOB_BYTES = 4 << 20

/** Cuts files into what one thread does at a time: many small ones, or one large one. */
export function* cutJobs<T>(files: readonly T[], sizeOf: (file: T) => number): Generator<T[]> {
  let job: T[] = []
  let bytes = 0
  for (const file of files) {
    const size = sizeOf(file)
    if (job.length > 0 && (job.length >= JOB_FILES || bytes + size > JOB_BYTES)) {
      yield job
      job = []
      bytes = 0
    }
    job.push(file)
    bytes += size
  }
  if (job.length > 0) yield job
}
