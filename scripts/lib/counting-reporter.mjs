// A vitest reporter that writes what passed, failed and was skipped, and why, to the file REPRO_TEST_REPORT.
import { writeFileSync } from 'node:fs'
import { relative } from 'node:path'

export default class CountingReporter {
  onTestRunEnd(modules, unhandled) {
    const passed = []
    const failed = unhandled.map(error => `outside of any test: ${error.message}`)
    const skipped = []
    for (const module of modules) {
      const file = relative(process.cwd(), module.moduleId)
      for (const error of module.errors()) failed.push(`${file}: ${error.message}`)
      for (const suite of module.children.allSuites())
        for (const error of suite.errors())
          failed.push(`${file} > ${suite.fullName}: ${error.message}`)
      for (const test of module.children.allTests()) {
        const name = `${file} > ${test.fullName}`
        const { state, note } = test.result()
        if (state === 'passed') passed.push(name)
        else if (state === 'failed') failed.push(name)
        else skipped.push({ name, reason: note ?? 'no reason given' })
      }
    }
    writeFileSync(process.env.REPRO_TEST_REPORT, JSON.stringify({ passed, failed, skipped }))
  }
}
