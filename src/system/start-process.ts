import type { Launch, RunningProcess, StartOptions } from './launch.ts'

export type { ProcessEnd, RunningProcess, StartOptions } from './launch.ts'

export declare function startProcess(launch: Launch, options?: StartOptions): Promise<RunningProcess>
