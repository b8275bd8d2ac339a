import { describeRuntime } from '../conformance/runtime.ts'

describeRuntime('host', {
  image: 'the host runtime has no image',
  'inputs read-only': 'the app works in a copy of its inputs',
  'paths with separators': 'there is no image whose path could matter',
})
