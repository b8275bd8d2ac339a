// A thread of head-search.ts. A job is {paths}; its answer is {found: [place in paths, …]}.
import { parentPort, workerData } from 'node:worker_threads'
import { headHolds } from './head-search.mjs'

parentPort.on('message', ({ paths }) => {
  parentPort.postMessage({
    found: [...paths.keys()].filter(i => headHolds(paths[i], workerData)),
  })
})
