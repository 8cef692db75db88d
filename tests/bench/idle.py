"""Disks at rest: what a hundred connected ones cost while nothing happens; and how long a disk takes to be connected."""
import json
import os
import select
import subprocess
import time

from host import DISKS_OF_A_DOMAIN, DOMAIN, Broken, LeftOut
from process import private_kib, wake_ups

SETTLE_SECONDS = 3  # a worker that was busy gives back within LIMIT_IDLE_MS what it keeps for the next request
WATCH_SECONDS = 5


def wait_out(seconds):
    """An interval is measured: there is no event to wait for."""
    select.select([], [], [], seconds)


# ---- S7 ----------------------------------------------------------------------------------------

def watch(disks):
    """Wake-ups of all workers in an interval, and their private memory at its end."""
    wait_out(SETTLE_SECONDS)
    before, began = [wake_ups(d.pid) for d in disks], time.monotonic()
    wait_out(WATCH_SECONDS)
    after, took = [wake_ups(d.pid) for d in disks], time.monotonic() - began
    memory = [private_kib(d.pid) for d in disks]
    return {'disks_n': len(disks), 'wake_ups_per_s': (sum(after) - sum(before)) / took,
            'private_kib': sum(memory) / len(memory), 'private_kib_max': max(memory)}


def start_idle_guest(host, disks):
    """A guest that has done some I/O on its disks, and stays."""
    return subprocess.Popen(['blkfront-bench', '--json', '--stay', '--count=64', '--iodepth=4',
                             '--vdev=' + ','.join(d.vdev for d in disks)],
                            env=host.guest(disks[0].domid), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True)


def leave(guests):
    """What those had to say that failed."""
    said = [(guest, guest.communicate()[1]) for guest in guests]
    return '; '.join(text.strip() for guest, text in said if guest.returncode)


def idle(host, case):
    """All are connected, and have done some I/O, before they are left alone."""
    disks, guests = [], []
    for first in range(0, case.disks, DISKS_OF_A_DOMAIN):
        disks.append(host.attach_many(min(DISKS_OF_A_DOMAIN, case.disks - first), case.storage, case.script_options,
                                      case.disk_mib, domid=host.new_domid()))
    everything = [disk for group in disks for disk in group]
    try:
        guests += [start_idle_guest(host, group) for group in disks]
        figures = watch(everything) if all([guest.stdout.readline() for guest in guests]) else None
    finally:
        complaint = leave(guests)
    if complaint or not figures:
        raise Broken(f'{case.name}: {complaint}')
    for disk in everything:
        host.check_alive(disk)
    host.detach_many(everything)
    return [{'round': 0, 'who': 'ring', 'figures': figures}]


# ---- S8 ----------------------------------------------------------------------------------------

def await_node(host, node, wanted, seconds=30):
    """Until the node is as wanted; xenstore-watch says when to look."""
    with subprocess.Popen(['xenstore-watch', node], env=host.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          start_new_session=True) as watcher:
        try:
            deadline = time.monotonic() + seconds
            while host.run('xenstore-read', node, check=False).stdout.strip() != wanted:
                left = deadline - time.monotonic()
                if left <= 0 or not select.select([watcher.stdout], [], [], left)[0]:
                    raise Broken(f'{node} does not become {wanted}')
                os.read(watcher.stdout.fileno(), 4096)
        finally:
            watcher.terminate()


def start_guest(host, disk):
    """A frontend: it waits for its backend, writes or reads once, and leaves."""
    return subprocess.Popen(['blkfront-bench', '--json', '--count=1', f'--vdev={disk.vdev}'],
                            env=host.guest(disk.domid), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True)


def attach_once(host, path, is_supervised):
    """
    The toolstack's part without the script, the guest's driver, and then the script: that is what is timed. Where a worker is there before the
    script, the guest has announced its ring by then, and waits for the disk.
    """
    disk = host.new_disk(DOMAIN['attach'], 'vbd')
    disk.path = path
    where = (str(disk.domid), disk.vdev, path)
    host.run('xensim', 'vbd-attach', '--no-script', f"--script={host.env['XENSIM_SCRIPT']}", *where)
    guest = start_guest(host, disk)
    if is_supervised:
        await_node(host, f'/local/domain/{disk.domid}/device/vbd/{disk.number}/state', '3')
    env = host.simulated(XENBUS_PATH=disk.backend, XENBUS_TYPE='vbd', XENBUS_BASE_PATH='backend')
    began = time.monotonic_ns()
    done = host.run(env['XENSIM_SCRIPT'], 'add', env=env, check=False)
    script_ended = time.monotonic_ns()
    said, complaint = guest.communicate()
    host.detach(disk)
    if done.returncode or guest.returncode:
        raise Broken(f'{disk.backend}: {(done.stderr + complaint).strip()}')
    return {'attach_ms': (json.loads(said)['connected_ns'] - began) / 1e6, 'script_ms': (script_ended - began) / 1e6}


class Supervisor:
    def __init__(self, host):
        self.log = open(f'{host.work}/blkbackd.log', 'w')
        open(f'{host.work}/blkbackd.conf', 'w').close()
        self.process = subprocess.Popen(['blkbackd', '-f', '-c', f'{host.work}/blkbackd.conf'], env=host.simulated(),
                                        stdin=subprocess.DEVNULL, stderr=self.log, start_new_session=True)

    def close(self):
        self.process.terminate()
        status = self.process.wait()
        self.log.close()
        if status:
            raise Broken(f'blkbackd ended with {status}')


def attach(host, case, rounds):
    """By hand, when the script starts the worker; then as xl does it, with blkbackd's worker waiting."""
    path = host.new_file(case.storage, case.name, case.disk_mib)
    runs = [{'round': r, 'who': 'script', 'figures': attach_once(host, path, False)} for r in range(rounds)]
    supervisor = Supervisor(host)
    try:
        runs += [{'round': r, 'who': 'supervised', 'figures': attach_once(host, path, True)} for r in range(rounds)]
    finally:
        supervisor.close()
    return runs


def measure(host, case, rounds):
    if case.kind == 'idle':
        return idle(host, case)
    if case.kind == 'attach':
        return attach(host, case, rounds)
    raise LeftOut(f'no such kind of case: {case.kind}')
