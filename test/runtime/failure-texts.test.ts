import { describe, expect, it } from 'vitest'
import { classifyFailure } from '../../src/runtime/failure-texts.ts'
import { adapters } from '../../src/runtime/registry.ts'

/** What the runtimes said on real hosts, and what we must make of it. */
const TEXTS: readonly (readonly [said: string, reason: RegExp])[] = [
  ['unshare: unshare failed: No space left on device', /no more user namespaces/],
  [
    'bwrap: Creating new namespace failed: nesting depth or /proc/sys/user/max_*_namespaces exceeded (ENOSPC)',
    /no more user namespaces/,
  ],
  ['cannot clone: No space left on device', /no more user namespaces/],
  [
    'nsexec-1[1]: failed to unshare user namespace: No space left on device',
    /no more user namespaces/,
  ],
  [
    'bwrap: No permissions to create new namespace, likely because the kernel does not allow non-privileged user namespaces.',
    /forbids user namespaces/,
  ],
  ['unshare: unshare failed: Operation not permitted', /forbids user namespaces/],
  ['cannot clone: Operation not permitted\nError: cannot re-exec process', /forbids user/],
  ['bwrap: setting up uid map: Permission denied', /AppArmor/],
  ['bwrap: loopback: Failed RTM_NEWADDR: Operation not permitted', /AppArmor/],
  ['unshare: write failed /proc/self/uid_map: Operation not permitted', /AppArmor/],
  ["bwrap: Can't mount proc on /newroot/proc: Operation not permitted", /fresh \/proc/],
  [
    'Error: OCI runtime error: crun: cgroups in hybrid mode not supported, drop all controllers from cgroupv2',
    /hybrid/,
  ],
  ['Error: crun: setrlimit `RLIMIT_NOFILE`: Operation not permitted', /CAP_SYS_RESOURCE/],
  ['error setting rlimits for ready process: error setting rlimit type 7', /CAP_SYS_RESOURCE/],
  ['no subuid ranges found for user "alice" in /etc/subuid', /subordinate uids/],
  ["unshare: unrecognized option '--map-user=1'", /too old/],
]

describe('classifyFailure', () => {
  it.each(TEXTS)('understands %j', (said, reason) => {
    const failure = classifyFailure(`some warning\n${said}\n`, 'podman')
    expect(failure.reason).toMatch(reason)
    expect(failure.remedies.length).toBeGreaterThan(0)
  })

  it('quotes what it does not know', () => {
    expect(classifyFailure('first\nstrange words\n', 'podman')).toEqual({
      reason: 'it says: strange words',
      remedies: [],
    })
    expect(classifyFailure('', 'podman').reason).toBe('it failed without a word')
  })

  it('says how to install every runtime', () => {
    for (const { name, program } of adapters)
      if (program !== null)
        expect(classifyFailure('not installed', name).remedies.join()).toMatch(/apt-get.*dnf/)
  })
})
