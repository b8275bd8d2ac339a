// A thread of head-search.ts. A job is {paths}; its answer is {found: [place in paths, …]}.
import { parentPort, workerData } from 'node:worker_threads'
import { createHeadSearch } from './head-search.mjs'

const holds = createHeadSearch(workerData)

parentPort.on('message', ({ paths }) => {
  parentPort.postMessage({ found: [...paths.keys()].filter(i => holds(paths[i])) })
})
