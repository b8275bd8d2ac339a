import { describeRuntime } from '../conformance/runtime.ts'

describeRuntime('bubblewrap')
