export { fail, ReproError } from './core/errors.ts'
