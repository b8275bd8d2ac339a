// `node --import <this file> script.ts`: lets child processes of tests run TypeScript on a Node that cannot by itself.
import { register } from 'node:module'

if (!process.features.typescript) register('./typescript-hooks.mjs', import.meta.url)
