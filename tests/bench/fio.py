"""One run of fio on the same file, without any ring: the limit."""
import json
import subprocess

from host import Broken
from ring import RAMP_SECONDS

# How fio goes the way a cache mode goes: a worker's thread that waits for the page cache is a job here.
DIRECT = ['--direct=1']
CACHE = {'none': DIRECT, 'directsync': DIRECT + ['--sync=dsync'], 'writeback': ['--direct=0'], 'unsafe': ['--direct=0'],
         'writethrough': ['--direct=0', '--sync=dsync']}


def jobs_of(case, paths, depth):
    """(file, depth, times) of each job: one for each ring, or, through the page cache, for each I/O in flight."""
    if not case.is_direct:
        return [(path, 1, depth) for path in paths]
    return [(path, max(1, depth // case.queues), case.queues) for path in paths]


def command(case, paths, seconds, engine, variant):
    words = ['fio', '--output-format=json', '--group_reporting', '--time_based', f'--runtime={int(seconds * 1000)}ms',
             f'--ramp_time={int(RAMP_SECONDS * 1000)}ms',
             '--norandommap', '--randrepeat=0', '--invalidate=0', '--lat_percentiles=1', '--clat_percentiles=0',
             '--percentile_list=50:99:99.9', f'--ioengine={engine if case.is_direct else "psync"}',
             f'--rw={case.op}', f'--bs={case.bs}'] + CACHE[case.cache]
    for i, (path, depth, times) in enumerate(jobs_of(case, paths, variant.get('qd', case.qd))):
        words += [f'--name=job{i}', f'--filename={path}', f'--iodepth={depth}', f'--numjobs={times}']
    return words


def figures(text):
    """fio's JSON as the suite's figures. What it prints before the JSON is not for us."""
    job = json.loads(text[text.index('{'):])['jobs'][0]
    way = job['read'] if job['read']['total_ios'] else job['write']
    at = {float(k): v / 1000 for k, v in way['lat_ns'].get('percentile', {}).items()}
    cpu_us = (job['usr_cpu'] + job['sys_cpu']) / 100 * job['job_runtime'] * 1000
    return {'iops': way['iops'], 'mb_s': way['bw_bytes'] / 1e6, 'p50': at.get(50.0), 'p99': at.get(99.0),
            'p999': at.get(99.9), 'cpu_us': cpu_us / way['total_ios'], 'ios': way['total_ios'], 'error': job['error']}


def run(case, paths, seconds, engine, variant):
    done = subprocess.run(command(case, paths, seconds, engine, variant), text=True, stdin=subprocess.DEVNULL,
                          capture_output=True)
    if done.returncode:
        raise Broken(f'{case.name}: fio: {(done.stderr or done.stdout).strip()[-300:]}')
    found = figures(done.stdout)
    if found.pop('error'):
        raise Broken(f'{case.name}: an I/O of fio failed')
    return found
