import type { RuntimeName } from '../../schemas/index.ts'

/** Why a runtime cannot run here, and what to type to change it. */
export interface FailureText {
  readonly reason: string
  readonly remedies: readonly string[]
}

interface Known {
  readonly pattern: RegExp
  readonly reason: string
  readonly remedies: readonly string[]
}

const PACKAGES: Partial<Record<RuntimeName, FailureText>> = {
  bubblewrap: {
    reason: 'bubblewrap is not installed',
    remedies: [
      'as administrator, Debian or Ubuntu: apt-get install bubblewrap',
      'as administrator, RHEL or Fedora: dnf install bubblewrap',
      'without administrator: conda install -c conda-forge bubblewrap',
    ],
  },
  unshare: {
    reason: 'util-linux 2.38 or newer with unshare, setpriv, mount and pivot_root is not installed',
    remedies: [
      'as administrator, Debian or Ubuntu: apt-get install util-linux mount',
      'as administrator, RHEL or Fedora: dnf install util-linux',
    ],
  },
  podman: {
    reason: 'podman is not installed',
    remedies: [
      'as administrator, Debian or Ubuntu: apt-get install podman uidmap',
      'as administrator, RHEL or Fedora: dnf install podman shadow-utils',
    ],
  },
}

const RAISE_LIMIT = [
  'as administrator: sysctl -w user.max_user_namespaces=15000',
  'to keep it: echo user.max_user_namespaces=15000 > /etc/sysctl.d/60-userns.conf',
]

/** The texts that runtimes are known to fail with, most telling first (runtimes' own words, so in their order of check). */
const KNOWN: readonly Known[] = [
  {
    pattern:
      /max_\*_namespaces exceeded|No space left on device.*\n?.*(unshare|namespace)|unshare failed: No space left|(namespaces?|cannot clone): No space left on device|max_user_namespaces/,
    reason: 'the kernel allows no more user namespaces (user.max_user_namespaces)',
    remedies: RAISE_LIMIT,
  },
  {
    pattern:
      /setting up uid map: Permission denied|Failed RTM_NEWADDR: Operation not permitted|write failed \/proc\/self\/uid_map: Operation not permitted|Could not write info to setgroups: Permission denied/,
    reason: 'AppArmor or a security policy restricts user namespaces for this program',
    remedies: [
      'as administrator, Ubuntu 23.10 or newer: sysctl -w kernel.apparmor_restrict_unprivileged_userns=0',
      'or, for bubblewrap alone: apt-get install apparmor-profiles && ln -s /usr/share/apparmor/extra-profiles/bwrap-userns-restrict /etc/apparmor.d/ && systemctl reload apparmor',
    ],
  },
  {
    pattern:
      /No permissions to creat(e|ing) new namespace|unshare failed: Operation not permitted|unshare user namespace: Operation not permitted|cannot clone: Operation not permitted|create keyring .*Operation not permitted|unprivileged_userns_clone/,
    reason: 'this host or the container we are in forbids user namespaces',
    remedies: [
      'as administrator, older Debian: sysctl -w kernel.unprivileged_userns_clone=1',
      'inside of Docker: start the container with --security-opt seccomp=unconfined --security-opt systempaths=unconfined',
    ],
  },
  {
    pattern: /mount proc on .*Operation not permitted|mount: .*\/proc: permission denied/i,
    reason: 'a fresh /proc cannot be mounted: parts of /proc are covered, as in a container',
    remedies: ['inside of Docker: start the container with --security-opt systempaths=unconfined'],
  },
  {
    pattern: /cgroups in hybrid mode not supported/,
    reason: 'crun does not work with hybrid control groups',
    remedies: [
      'as administrator: install runc (apt-get install runc), or boot with systemd.unified_cgroup_hierarchy=1',
    ],
  },
  {
    pattern: /invalid file system type on '?\/sys\/fs\/cgroup/,
    reason: 'no control groups are mounted at /sys/fs/cgroup',
    remedies: ['as administrator: mount -t cgroup2 none /sys/fs/cgroup'],
  },
  {
    pattern: /setrlimit|setting rlimits?/,
    reason: 'resource limits cannot be raised as the runtime wants (no CAP_SYS_RESOURCE)',
    remedies: [
      'as administrator: set default_ulimits = ["nofile=1024:1024"] in /etc/containers/containers.conf',
    ],
  },
  {
    pattern: /no subuid ranges|keep-id requires|insufficient UIDs or GIDs|newuidmap/,
    reason: 'this user has no range of subordinate uids (/etc/subuid), or newuidmap is missing',
    remedies: [
      'as administrator: apt-get install uidmap (RHEL: dnf install shadow-utils)',
      'as administrator: usermod --add-subuids 100000-165535 --add-subgids 100000-165535 USER',
    ],
  },
  {
    pattern: /lsetxattr|Network file system detected|not supported as a backing/,
    reason: "podman's storage lies on a file system that it cannot use (NFS, Lustre, GPFS)",
    remedies: ['point REPRO_CACHE to a local disk'],
  },
  {
    pattern: /Operation not permitted[^\n]*\/dev\/fuse|open \/dev\/fuse|fuse-overlayfs/,
    reason: 'an overlay cannot be mounted: the kernel refuses it and /dev/fuse cannot be opened',
    remedies: ['as administrator: chmod 0666 /dev/fuse, or a kernel of 5.13 or newer'],
  },
  {
    pattern: /unrecognized option|unknown option|unknown flag|invalid option/i,
    reason: 'the installed version is too old: it lacks an option that is needed',
    remedies: ['install a newer version'],
  },
  {
    pattern: /timed out after/,
    reason: 'it did not start in time',
    remedies: ['see whether the host is overloaded, then: repro doctor --fresh'],
  },
]

/** Turns what a runtime printed when it failed into one sentence and what to type. Unknown texts are quoted. */
export function classifyFailure(stderr: string, runtime: RuntimeName): FailureText {
  if (stderr === 'not installed') {
    return PACKAGES[runtime] ?? { reason: `${runtime} is not installed`, remedies: [] }
  }
  const known = KNOWN.find(({ pattern }) => pattern.test(stderr))
  if (known) return { reason: known.reason, remedies: known.remedies }
  const lines = stderr.split('\n').filter(line => line.trim() !== '')
  const said = (lines.at(-1) ?? '').slice(0, 300)
  return {
    reason: said === '' ? 'it failed without a word' : `it says: ${said}`,
    remedies: [],
  }
}
