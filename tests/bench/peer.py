"""Other backends in the same simulated host: QEMU's qdisk as it is, and one that has nothing but the loop of a ring."""
import os
import subprocess

from host import DOMAIN, LeftOut

QEMU = '/usr/libexec/xen-qemu-system-i386'

# bare-backend: it sleeps as soon as there is nothing to do, or looks first for as long as our worker may; it answers only, or does the I/O.
LOOK = '--look=100'
BARE = {'echo': [], 'echo-looks': [LOOK], 'bare': ['--io'], 'bare-looks': [LOOK, '--io'],
        'bare-one-disk': ['--io']}


class Peers:
    def __init__(self, host):
        self.host, self.qemu, self.running, self.found, self.domids = host, None, [], {}, {}

    def _start(self, words, **more):
        process = subprocess.Popen(words, env=self.host.simulated(), stdin=subprocess.DEVNULL,
                                   stdout=subprocess.DEVNULL, start_new_session=True, **more)
        self.running.append(process)
        return process

    def qdisk(self, storage):
        """
        A disk of QEMU's, attached as libxl does it, on a file of its own like the worker's: two writers never share one. That is the page
        cache's way; `direct-io-safe` wants native AIO, which Debian's QEMU is built without.
        """
        if ('qdisk', storage) in self.found:
            return self.found['qdisk', storage]
        if not os.access(QEMU, os.X_OK):
            raise LeftOut(f"no '{QEMU}' (package qemu-system-xen)")
        disk = self.host.new_disk(DOMAIN['qdisk'], 'qdisk')
        disk.path = self.host.new_file(storage, f'qdisk-{storage}', self.host.size_mib)
        self.host.run('xensim', 'vbd-attach', '--kind=qdisk', str(disk.domid), disk.vdev, disk.path)
        if not self.qemu:
            with open(f'{self.host.work}/qemu.log', 'w') as log:
                self.qemu = self._start([QEMU, '-M', 'xenpv', '-xen-domid', str(disk.domid), '-xen-attach', '-nographic',
                                         '-nodefaults', '-no-user-config', '-monitor', 'none', '-serial', 'none'],
                                        stderr=log)
        disk.pid = self.qemu.pid
        self.found['qdisk', storage] = disk
        return disk

    def bare(self, who, like):
        """One beside our worker's disk @like: with the same file, if it does I/O. Those of one guest are one guest's again."""
        path = like.path if '--io' in BARE[who] else None
        if (who, path) not in self.found:
            if (who, like.domid) not in self.domids:
                self.domids[who, like.domid] = self.host.new_domid()
            disk = self.host.new_disk(self.domids[who, like.domid], 'vbd')
            self.host.run('xensim', 'vbd-attach', '--no-script', str(disk.domid), disk.vdev, who)
            words = [f'--io={path}' if word == '--io' else word for word in BARE[who]]
            disk.pid = self._start(['bare-backend', *words, disk.backend]).pid
            self.found[who, path] = disk
        return self.found[who, path]

    def close(self):
        """Their disks first, or they would be served no more: then there is only QEMU left."""
        for disk in self.found.values():
            if disk in self.host.disks:
                self.host.detach(disk)
        for process in self.running:
            process.terminate()
            process.wait()
