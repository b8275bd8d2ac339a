import { describeRuntime } from '../conformance/runtime.ts'

describeRuntime('podman', {
  'paths with separators':
    'podman takes ":" and "," in paths for separators; refused with NO_RUNTIME',
})
