"""What can be seen of a running process: its memory, its wake-ups, its system calls."""
import ctypes
import os
import struct

TRACEPOINT = '/sys/kernel/tracing/events/raw_syscalls/sys_enter/id'
SYS_perf_event_open = 298  # x86-64
PERF_TYPE_TRACEPOINT = 2
PERF_ATTR_SIZE = 64  # PERF_ATTR_SIZE_VER0
PERF_FLAG_FD_CLOEXEC = 8
INHERIT = 1 << 1


def threads(pid):
    try:
        return [int(t) for t in os.listdir(f'/proc/{pid}/task')]
    except FileNotFoundError:
        return []


def is_alive(pid):
    return bool(threads(pid))


def private_kib(pid):
    with open(f'/proc/{pid}/smaps_rollup') as lines:
        return sum(int(line.split()[1]) for line in lines if line.startswith('Private_'))


def wake_ups(pid):
    """How often its threads have gone to sleep, which is as often as something woke them."""
    total = 0
    for tid in threads(pid):
        with open(f'/proc/{pid}/task/{tid}/status') as lines:
            total += sum(int(line.split()[1]) for line in lines if line.startswith('voluntary_ctxt_switches'))
    return total


class SystemCalls:
    """
    Counts the system calls of processes, threads that begin meanwhile included, with the kernel's own counter
    (perf_event_open on raw_syscalls:sys_enter). Needs root and tracefs, and slows each system call of the machine by a little, so that no
    other figure is taken at the same time.
    """

    def __init__(self, pids):
        self.fds = []
        try:
            with open(TRACEPOINT) as text:
                event = int(text.read())
            for pid in pids:
                self.fds += [self._open(tid, event) for tid in threads(pid)]
        except OSError as error:
            self.close()
            raise RuntimeError(f'system calls cannot be counted: {error}')

    @staticmethod
    def _open(tid, event):
        attr = struct.pack('IIQQQQQIIQ', PERF_TYPE_TRACEPOINT, PERF_ATTR_SIZE, event, 0, 0, 0, INHERIT, 0, 0, 0)
        libc = ctypes.CDLL(None, use_errno=True)
        fd = libc.syscall(SYS_perf_event_open, ctypes.create_string_buffer(attr, len(attr)), tid, -1, -1,
                          PERF_FLAG_FD_CLOEXEC)
        if fd < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        return fd

    def read(self):
        return sum(struct.unpack('Q', os.read(fd, 8))[0] for fd in self.fds)

    def close(self):
        for fd in self.fds:
            os.close(fd)
        self.fds = []
