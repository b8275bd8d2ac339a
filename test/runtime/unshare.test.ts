import { describeRuntime } from '../conformance/runtime.ts'

describeRuntime('unshare')
