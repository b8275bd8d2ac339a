// Does the jobs that are posted to it, one after the other, and answers with `post`: in a thread, or in the calling one.
// A job is {job, mode, files}; {slab} gives a slab back; {stop} leaves everything as it is, with no file open.
// Types: ingest-serve.d.mts.
import { createIngest, NEED, SLAB_BYTES } from './ingest-files.mjs'

/** The blocks of a large file go through a second thread, so more are on the way. */
const SLABS = { pack: 4, cut: 6 }

export function serveIngest(hashes, post, rest) {
  const ingest = createIngest(hashes)
  const jobs = []
  const slabs = []
  let made = 0
  let busy = false
  let wake = null
  let stopped = false

  const takeSlab = async mode => {
    if (slabs.length === 0 && made < SLABS[mode]) {
      made++
      return new ArrayBuffer(SLAB_BYTES)
    }
    while (slabs.length === 0 && !stopped)
      await new Promise(resolve => {
        wake = resolve
      })
    return slabs.pop() ?? null
  }

  const work = async () => {
    busy = true
    for (let task = jobs.shift(); task && !stopped; task = jobs.shift()) {
      const steps = ingest(task)
      let step = steps.next()
      while (!step.done && !stopped) {
        const given = step.value === NEED ? await takeSlab(task.mode) : await step.value.wait
        if (step.value?.type === 'unused') slabs.push(step.value.slab)
        else if (step.value?.type) {
          post({ job: task.job, ...step.value }, step.value.slab ? [step.value.slab] : [])
          await rest?.()
        }
        step = stopped ? steps.return() : steps.next(given)
      }
      post({ job: task.job, type: 'finished' }, [])
      await rest?.()
    }
    busy = false
  }

  return message => {
    if (message.slab || message.stop) {
      if (message.slab) slabs.push(message.slab)
      else stopped = true
      wake?.()
    } else {
      jobs.push(message)
      if (!busy) void work()
    }
  }
}
