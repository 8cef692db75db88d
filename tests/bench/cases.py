"""What is measured: each case is one row, named after what it is about. See README.md."""
from dataclasses import asdict, dataclass

TARGET_ROUNDS, TARGET_SECONDS = 5, 1.0
AXIS_ROUNDS, AXIS_SECONDS = 3, 0.4
SLOW_ROUNDS, SLOW_SECONDS, SLOW_PERCENT = 51, 0.2, 10


@dataclass(frozen=True)
class Case:
    name: str
    targets: tuple = ()  # S1 ...; none: only an axis
    kind: str = 'io'     # or idle, attach: those are no rounds of contenders
    storage: str = 'disk'  # disk: a file on the build's file system; tmpfs; loop: a loop device over such a file; null
    op: str = 'randread'
    bs: str = '4k'
    qd: int = 32         # I/Os in flight, of each disk
    queues: int = 1
    disks: int = 1
    disk_mib: int = 0    # 0: as large as the suite's files are
    transfer: str = 'persistent'  # or copy, map
    cache: str = 'none'
    indirect: int = 32   # segments of the frontend's largest request
    ring_order: int = 0
    options: tuple = ()  # more of what stands behind an image's name
    has_drag: bool = False  # a worker that can be made slower from run to run
    contenders: tuple = ('ring', 'fio')
    rounds: int = 0      # 0: as many as its sort has
    seconds: float = 0

    @property
    def is_direct(self):
        return self.cache in ('none', 'directsync')

    @property
    def script_options(self):
        """What the hotplug script is told behind the image's name."""
        cache = () if self.cache == 'none' else (f'cache={self.cache}',)
        transfer = () if self.transfer == 'persistent' else (f'transfer={self.transfer}',)
        return cache + transfer + self.options

    def rounds_of(self, wanted):
        return wanted or self.rounds or (TARGET_ROUNDS if self.targets else AXIS_ROUNDS)

    def seconds_of(self, wanted):
        return wanted or self.seconds or (TARGET_SECONDS if set(self.targets) - {'S11'} else AXIS_SECONDS)

    def axes(self):
        return {k: v for k, v in asdict(self).items() if k not in ('name', 'rounds', 'seconds')}


# What a contender has different from its case. The others have nothing.
VARIANTS = {
    'ring-11': {'indirect': 0},        # a frontend without indirect requests
    # all that is in flight, on one disk
    'one-disk': {'disks': 1}, 'bare-one-disk': {'disks': 1}, 'fio-one-disk': {'disks': 1},
    'slow': {'drag': SLOW_PERCENT},    # the same worker, while it wastes so much
}


def variant_of(case, who):
    """The case's part of a variant filled in."""
    variant = dict(VARIANTS.get(who, {}))
    if who.endswith('one-disk'):
        variant['qd'] = case.qd * case.disks
    return variant


def for_targets():
    cases = []
    for op in ('randread', 'randwrite'):
        cases.append(Case(f's1-{op}', ('S1', 'S9'), op=op, contenders=('ring', 'bare', 'bare-looks', 'fio', 'fio-uring')))
        cases.append(Case(f's2-{op}', ('S2',), op=op, qd=1, contenders=('ring', 'bare', 'bare-looks', 'fio', 'echo')))
        cases.append(Case(f's2-{op}-poll-off', ('S2',), op=op, qd=1, options=('poll=off',),
                          contenders=('ring', 'bare', 'fio', 'echo')))
    cases.append(Case('s3-randread', ('S3', 'S9'), storage='tmpfs', contenders=('ring', 'fio', 'fio-uring', 'qdisk')))
    for qd in (32, 64, 128):
        cases.append(Case(f's4-qd{qd}', ('S4',), storage='null', qd=qd, ring_order=2,
                          contenders=('ring', 'echo', 'echo-looks')))
    for op in ('read', 'write'):
        for bs, qd in (('128k', 8), ('1M', 4)):
            cases.append(Case(f's5-{op}-{bs}', ('S5',), op=op, bs=bs, qd=qd, ring_order=2, indirect=256,
                              contenders=('ring', 'ring-11', 'bare', 'fio')))
    cases.append(Case('s6-64-disks', ('S6',), qd=1, disks=64, disk_mib=16, ring_order=2,
                      contenders=('ring', 'one-disk', 'bare', 'bare-one-disk', 'fio', 'fio-one-disk')))
    cases.append(Case('s7-idle', ('S7',), kind='idle', disks=100, disk_mib=4, contenders=('ring',)))
    cases.append(Case('s8-attach', ('S8',), kind='attach', disk_mib=64, contenders=('script', 'supervised')))
    return cases


def for_axes():
    cases = []
    for qd in (1, 2, 4, 8, 16, 32, 64, 128):
        cases.append(Case(f'qd-tmpfs-{qd}', ('S11',), storage='tmpfs', qd=qd, ring_order=2, contenders=('ring', 'bare', 'fio', 'qdisk')))
    for qd in (1, 4, 16, 32, 64, 128):
        cases.append(Case(f'qd-disk-{qd}', ('S11',), qd=qd, ring_order=2, contenders=('ring', 'bare', 'fio', 'fio-uring')))
    for bs in ('512', '4k', '16k', '64k', '256k', '1M'):
        cases.append(Case(f'bs-{bs}', bs=bs, qd=8, ring_order=2, indirect=256))
    for queues in (1, 2, 4):
        cases.append(Case(f'queues-tmpfs-{queues}', ('S11',), storage='tmpfs', queues=queues, contenders=('ring', 'bare', 'fio')))
        cases.append(Case(f'queues-null-{queues}', ('S11',), storage='null', queues=queues, contenders=('ring', 'echo', 'echo-looks')))
    for disks in (1, 4, 16, 64):
        cases.append(Case(f'disks-{disks}', ('S11',), storage='tmpfs', disks=disks, disk_mib=16, qd=4, contenders=('ring', 'bare', 'fio')))
    for transfer in ('persistent', 'copy', 'map'):
        for op in ('randread', 'randwrite'):
            cases.append(Case(f'transfer-{transfer}-{op}', storage='tmpfs', op=op, transfer=transfer))
    for cache in ('none', 'directsync', 'writethrough', 'writeback'):
        cases.append(Case(f'cache-{cache}', op='randwrite', qd=8, cache=cache))
    for op in ('randread', 'randwrite'):
        cases.append(Case(f'loop-{op}', storage='loop', op=op))
    for engine in ('aio', 'io_uring'):
        cases.append(Case(f'engine-{engine}-disk', options=(f'engine={engine}',)))
        cases.append(Case(f'engine-{engine}-disk-qd1', qd=1, options=(f'engine={engine}',)))
        cases.append(Case(f'engine-{engine}-tmpfs', storage='tmpfs', options=(f'engine={engine}',)))
    for bs in ('4k', '64k'):
        cases.append(Case(f'slow-{bs}', storage='tmpfs', bs=bs, has_drag=True, contenders=('ring', 'slow'), rounds=SLOW_ROUNDS,
                          seconds=SLOW_SECONDS))
    return cases


def quick():
    return [Case(f'{storage}-{op}-{qd}', storage=storage, op=f'rand{op}', qd=qd, rounds=5, seconds=1)
            for storage in ('disk', 'tmpfs') for qd in (1, 32) for op in ('read', 'write')]


def chosen(cases, only):
    """Those whose name, a part of it up to a hyphen, or target is one of @only; all without."""
    def is_meant(case, word):
        return word in case.targets or case.name == word or case.name.startswith(word + '-')

    unknown = [word for word in only if not any(is_meant(case, word) for case in cases)]
    if unknown:
        raise ValueError(f"there is no case or target {', '.join(unknown)}")
    return [case for case in cases if not only or any(is_meant(case, word) for word in only)]
