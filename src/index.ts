// The public library: what `repro` does, as functions. Long work is an async iterator of records that returns its result.
export type {
  HostReport,
  Manifest,
  OutputResult,
  Receipt,
  ReleaseRecord,
  Verdict,
  WorkRecord,
} from '../schemas/index.ts'
export { type ErrorCode, fail, ReproError } from './core/errors.ts'
export { ExitCode } from './core/exit-codes.ts'
export type { BundleUsage, ReleaseUsage } from './core/housekeeping.ts'
export {
  formatReference,
  type KeyReference,
  parseReference,
  type Reference,
} from './core/reference.ts'
export type { ReleaseIdentity } from './core/release-source.ts'
export type { HostPort, NetworkSettings, Settings } from './core/settings.ts'
export { type BootstrapOptions, bootstrap } from './daemon/operations/bootstrap.ts'
export { type CheckOptions, type CheckResult, check } from './daemon/operations/check.ts'
export { type DoctorOptions, doctor } from './daemon/operations/doctor.ts'
export { du, type FolderUsage, type Usage } from './daemon/operations/du.ts'
export { type GetOptions, type Gotten, get } from './daemon/operations/get.ts'
export { type Comparison, diff, log } from './daemon/operations/history.ts'
export { type InitOptions, type InitResult, init } from './daemon/operations/init.ts'
export {
  exportKey,
  importKey,
  type KeyExport,
  type KeyImport,
} from './daemon/operations/key.ts'
export {
  cat,
  type Inspection,
  inspect,
  type Listing,
  type LookOptions,
  ls,
} from './daemon/operations/look.ts'
export { listPins, type PinList, type PinResult, pin } from './daemon/operations/pin.ts'
export { type Pruned, type PruneOptions, prune } from './daemon/operations/prune.ts'
export {
  type PublishedFolder,
  type PublishOptions,
  publish,
} from './daemon/operations/publish.ts'
export {
  type RebuiltIndex,
  type Repair,
  type Repaired,
  repair,
  repairIndex,
} from './daemon/operations/repair.ts'
export { type RepairedStore, repairStore } from './daemon/operations/repair-store.ts'
export { type Removed, type RemoveOptions, remove } from './daemon/operations/rm.ts'
export {
  type Allowed,
  type PlannedRun,
  planRun,
  type Ran,
  type RunOptions,
  run,
} from './daemon/operations/run.ts'
export { type ShareResult, share } from './daemon/operations/share.ts'
export { type VerifyOptions, type VerifyResult, verify } from './daemon/operations/verify.ts'
export type { Plan } from './run/plan.ts'
export { findRun, listRuns, type RunSummary } from './run/runs.ts'
export { loadSettings, type SettingsFlags } from './system/config.ts'
