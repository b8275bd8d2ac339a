// Puts a folder into a plain Hyperdrive with mirror-drive: <store> <folder> [batch]. A peer of the archive bench.
import process from 'node:process'
import Corestore from 'corestore'
import Hyperdrive from 'hyperdrive'
import Localdrive from 'localdrive'
import MirrorDrive from 'mirror-drive'

const [store, folder, batch] = process.argv.slice(2)
const corestore = new Corestore(store)
const drive = new Hyperdrive(corestore)
const mirror = new MirrorDrive(new Localdrive(folder), drive, { batch: batch === 'batch' })
for await (const _ of mirror);
await drive.close()
await corestore.close()
