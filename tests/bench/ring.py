"""One run through a ring, whoever serves it: blkfront-bench plays the guest."""
import json
import subprocess

from host import Broken
from process import SystemCalls

COUNTED_SECONDS = 0.3

# Before figures begin: grants are mapped, pages are touched for the first time.
RAMP_SECONDS = 0.05


def command(case, disks, variant, *length):
    """@variant: what this contender has different from the case."""
    depth = variant.get('qd', case.qd)
    return ['blkfront-bench', '--json', '--vdev=' + ','.join(d.vdev for d in disks), f'--op={case.op}',
            f'--bs={case.bs}', f'--iodepth={depth}', f'--queues={case.queues}', f'--ring-order={case.ring_order}',
            f"--indirect={variant.get('indirect', case.indirect)}",
            f"--persistent={int(case.transfer == 'persistent')}",
            '--backend-pid=' + ','.join(str(pid) for pid in sorted({d.pid for d in disks}))] + list(length)


def figures(text):
    """blkfront-bench's JSON as the suite's figures."""
    said = json.loads(text)
    latency = said['lat_us']
    return {'iops': said['iops'], 'mb_s': said['mb_s'], 'p50': latency['p50'], 'p99': latency['p99'],
            'p999': latency['p99.9'], 'cpu_us': said['backend_cpu_us_per_io'], 'frontend_cpu_us': said['cpu_us_per_io'],
            'to_backend': said['notified_per_io'], 'to_frontend': said['events_per_io'],
            'events': said['notified_per_io'] + said['events_per_io'], 'ios': said['ios'],
            'p99_spread': spread([d['p99'] for d in said['disks']]), 'disks': said['disks']}


def spread(p99s):
    """How many times the best disk's the worst disk's is."""
    return max(p99s) / min(p99s) if len(p99s) > 1 and min(p99s) > 0 else None


def run_for(host, case, disks, variant, *length):
    done = subprocess.run(command(case, disks, variant, *length), env=host.guest(disks[0].domid), text=True,
                          stdin=subprocess.DEVNULL, capture_output=True)
    for disk in disks:
        host.check_alive(disk)
    if done.returncode:
        raise Broken(f'{case.name}: {done.stderr.strip()}')
    return figures(done.stdout)


def run(host, case, disks, seconds, variant):
    return run_for(host, case, disks, variant, f'--seconds={seconds}', f'--ramp={RAMP_SECONDS}')


def count_calls(host, case, disks, variant):
    """
    System calls per I/O of what serves the disks. Those of connecting and closing do not count: they are what a run of one I/O on
    each disk takes.
    """
    counts = []
    for length in ('--count=1', f'--seconds={COUNTED_SECONDS}'):
        counter = SystemCalls([d.pid for d in disks])
        try:
            ios = run_for(host, case, disks, variant, length)['ios']
            counts.append((counter.read(), ios))
        finally:
            counter.close()
    (few_calls, few_ios), (calls, ios) = counts
    return {'syscalls': max(0, calls - few_calls) / (ios - few_ios)} if ios > few_ios else {}
