"""The simulated host, the files, and the disks that are attached in it."""
import mmap
import os
import random
import shutil
import subprocess
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor

from process import is_alive

MIB = 1 << 20
SCRIPT = 'tools/block-blkback'
DOMAIN = {'ring': 1, 'qdisk': 2, 'attach': 4}
FIRST_OF_MANY = 10

# xenstored lets a guest have a thousand nodes: some 14 for a disk.
DISKS_OF_A_DOMAIN = 64

# Scripts and workers that are busy at the same time when many disks come and go.
AT_A_TIME = 4


class LeftOut(Exception):
    """What cannot be measured here, and why."""


class Broken(Exception):
    """Something that should work did not: a failed I/O, a worker that died."""


def vdev_of(index):
    """The name and the number of the index-th virtual disk: xvda 51712, xvdb ... xvdaa."""
    letters, rest = '', index
    while rest >= 0:
        letters = chr(ord('a') + rest % 26) + letters
        rest = rest // 26 - 1
    return 'xvd' + letters, 202 << 8 | index << 4 if index < 16 else 1 << 28 | index << 8


def filesystem_of(path):
    return subprocess.run(['findmnt', '-n', '-f', '-o', 'FSTYPE', '-T', path], capture_output=True,
                          text=True).stdout.strip()


def fill(path, size_mib):
    """Every block is written, past the page cache."""
    chunk = mmap.mmap(-1, MIB)  # as direct I/O wants it: at the beginning of a page
    chunk.write(random.Random(path).randbytes(MIB))
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_DIRECT | os.O_CLOEXEC, 0o600)
    try:
        for i in range(size_mib):
            os.pwrite(fd, chunk, i * MIB)
        os.fsync(fd)
    finally:
        os.close(fd)


class Disk:
    """One attached virtual disk."""

    def __init__(self, domid, index, kind):
        self.domid, self.index, self.kind = domid, index, kind
        self.vdev, self.number = vdev_of(index)
        self.path = None  # of its file or device; none of null storage
        self.pid = None   # of the process that serves it

    @property
    def backend(self):
        return f'backend/{self.kind}/{self.domid}/{self.number}'


class Host:
    """Lives below tests/lib/in-host. Whatever is made here is taken away by close()."""

    def __init__(self, build, size_mib, slow_percent):
        self.build, self.size_mib, self.slow_percent = build, size_mib, slow_percent
        self.root = os.getcwd()
        self.preload = os.environ['XENSIM_PRELOAD']
        self.work = tempfile.mkdtemp(prefix='bench.', dir=build)
        self.shm = None
        self.disks, self.loops, self.domains, self.next_index = [], [], set(), {}
        self.next_domid, self.lock = FIRST_OF_MANY, threading.Lock()
        self.env = dict(os.environ, BLKBACK_RUNDIR=f'{self.work}/run', BLKBACK_LOG=f'{self.work}/worker.log',
                        BLKBACK_VBD=self._worker(), XENSIM_SCRIPT=f'{self.root}/{SCRIPT}')
        self.drag(0)

    def _worker(self):
        """As many rings as a worker has, however few processors there are."""
        path = f'{self.work}/worker'
        with open(path, 'w') as script:
            script.write('#!/bin/sh\nexec blkback-vbd --max-queues=8 "$@"\n')
        os.chmod(path, 0o700)
        return path

    # ---- commands ----

    def run(self, *command, env=None, check=True):
        """A command in a session of its own, so that an interrupt of ours does not end it half-way."""
        done = subprocess.run(command, env=env or self.env, start_new_session=True, text=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if check and done.returncode:
            raise Broken(f'{command[0]} {command[1]}: {done.stderr.strip()}')
        return done

    def simulated(self, **more):
        """The environment of a program that lives in the simulated host's domain 0."""
        return dict(self.env, LD_PRELOAD=self.preload, **more)

    def guest(self, domid):
        """... and of one that is a guest's."""
        return self.simulated(XENSIM_DOMID=str(domid), XENSTORED_PATH=f"{os.environ['XENSIM_DIR']}/dom{domid}/xenstored")

    # ---- storage ----

    def directory(self, storage):
        if storage != 'tmpfs':
            return self.work
        with self.lock:
            if not self.shm:
                if filesystem_of('/dev/shm') != 'tmpfs':
                    raise LeftOut('/dev/shm is not a tmpfs')
                self.shm = tempfile.mkdtemp(prefix='bench.', dir='/dev/shm')
        return self.shm

    def new_file(self, storage, name, size_mib):
        path = f'{self.directory(storage)}/{name}.img'
        try:
            fill(path, size_mib)
        except OSError as error:
            raise LeftOut(f"no file for direct I/O in '{os.path.dirname(path)}': {error.strerror}")
        if storage != 'loop':
            return path
        done = self.run('losetup', '--find', '--show', '--direct-io=on', path, check=False)
        if done.returncode:
            raise LeftOut(f'no loop device: {done.stderr.strip()}')
        self.loops.append(done.stdout.strip())
        return self.loops[-1]

    # ---- disks ----

    def new_domid(self):
        """A guest for many disks."""
        self.next_domid += 1
        return self.next_domid - 1

    def new_disk(self, domid, kind):
        with self.lock:
            if domid not in self.domains:
                self.run('xensim', 'domain-create', str(domid))
                self.domains.add(domid)
            index = self.next_index.get(domid, 0)
            self.next_index[domid] = index + 1
            disk = Disk(domid, index, kind)
            self.disks.append(disk)
        return disk

    def forget(self, disk):
        self.disks.remove(disk)

    def drag(self, percent):
        """What workers with a drag waste from now on; without a number, what all of this run do."""
        with open(f'{self.work}/drag', 'w') as text:
            text.write(f'{percent or self.slow_percent}\n')

    def attach(self, storage, options=(), size_mib=None, has_drag=False, domid=DOMAIN['ring']):
        """A disk of our worker's. LeftOut when the hotplug script does not know an option."""
        disk = self.new_disk(domid, 'vbd')
        env = dict(self.env)
        if has_drag or self.slow_percent:
            env.update(LD_PRELOAD=f'{self.build}/lib/libdrag.so:{self.preload}', DRAG_FILE=f'{self.work}/drag')
        try:
            self._attach(disk, storage, options, size_mib or self.size_mib, env)
        except (Broken, LeftOut) as error:
            # Often there is no worker that would answer.
            self.run('xensim', 'vbd-detach', '--force', str(domid), disk.vdev, check=False,
                     env=dict(self.env, XENSIM_STATE_SECONDS='1'))
            self.forget(disk)
            if any(f"'{o}' is not known" in str(error) or f"'{o.split('=')[0]}' is not known" in str(error)
                   for o in options):
                raise LeftOut(f"the worker does not know {'+'.join(options)}")
            raise
        with open(f'{self.work}/run/vbd-{domid}-{disk.number}.pid') as text:
            disk.pid = int(text.read())
        return disk

    def _attach(self, disk, storage, options, size_mib, env):
        where = (str(disk.domid), disk.vdev)
        if storage == 'null':
            self.run('xensim', 'vbd-attach', '--no-script', f'--set=physical-device-path=null:{1 << 30}',
                     '--set=hotplug-status=connected', *where, 'null', env=env)
            self.run(self.env['BLKBACK_VBD'], disk.backend,
                     env=dict(env, LD_PRELOAD=env.get('LD_PRELOAD', self.preload)))
            return
        disk.path = self.new_file(storage, f'{disk.domid}-{disk.vdev}', size_mib)
        self.run('xensim', 'vbd-attach', *where, ','.join((disk.path,) + tuple(options)), env=env)

    def check_alive(self, disk):
        if not is_alive(disk.pid):
            raise Broken(f'the process that served {disk.backend} has died')

    def detach(self, disk):
        self.forget(disk)
        script = ['--no-script'] if disk.kind == 'qdisk' or not disk.path else []
        self.run('xensim', 'vbd-detach', '--force', *script, str(disk.domid), disk.vdev)

    def attach_many(self, n, *how, **more):
        with ThreadPoolExecutor(AT_A_TIME) as pool:
            return list(pool.map(lambda _: self.attach(*how, **more), range(n)))

    def detach_many(self, disks):
        with ThreadPoolExecutor(AT_A_TIME) as pool:
            list(pool.map(self.detach, disks))

    def close(self):
        """All detached, all files removed. What went wrong first is raised after the rest was done."""
        try:
            self.detach_many(list(self.disks))
        finally:
            for loop in self.loops:
                self.run('losetup', '--detach', loop, check=False)
            for domid in self.domains:
                self.run('xensim', 'domain-destroy', str(domid), check=False)
            shutil.rmtree(self.work)
            if self.shm:
                shutil.rmtree(self.shm)
