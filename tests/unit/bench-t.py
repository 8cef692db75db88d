#!/usr/bin/env python3
"""The bench suite's arithmetic, and its reading of what fio and blkfront-bench print: on figures that are known."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'bench'))

import cases  # noqa: E402
import compare  # noqa: E402
import figures  # noqa: E402
import fio  # noqa: E402
import host  # noqa: E402
import report  # noqa: E402
import ring  # noqa: E402
import targets  # noqa: E402

# fio 3.33, two jobs with --group_reporting; what is not looked at is left out.
FIO = '''note: both iodepth >= 1 and synchronous I/O engine are selected
{
  "fio version" : "fio-3.33",
  "jobs" : [
    {
      "jobname" : "job0", "error" : 0,
      "read" : { "bw_bytes" : 0, "iops" : 0.000000, "total_ios" : 0, "lat_ns" : { "N" : 0 } },
      "write" : {
        "bw_bytes" : 1155031445, "iops" : 281990.09901, "runtime" : 101, "total_ios" : 28481,
        "lat_ns" : { "N" : 28481,
          "percentile" : { "50.000000" : 19328, "99.000000" : 75264, "99.900000" : 9502720 } }
      },
      "job_runtime" : 200, "usr_cpu" : 7.500000, "sys_cpu" : 28.000000
    }
  ]
}
'''

RING = ('{"disks": [{"vdev": "xvda", "ios": 145964, "p50": 38.9, "p99": 278.5}, '
        '{"vdev": "xvdb", "ios": 172300, "p50": 34.8, "p99": 139.25}], '
        '"op": "randread", "bs": 4096, "iodepth": 8, "persistent": true, "max_segments": 32, "requests": 318264, '
        '"connected_ns": 1477879271506, "ios": 318264, "failed": 0, "seconds": 1.000, "iops": 318264, "mb_s": 1303.61, '
        '"fsync": 0, "flushes": 0, "flushes_per_s": 0.0, "flush_p50_us": 0.0, "flush_p99_us": 0.0, '
        '"lat_us": {"p50": 36.9, "p99": 229.4, "p99.9": 409.6, "max": 2665.3}, "backend_cpu_us_per_io": 0.3075, '
        '"notified_per_io": 0.12500, "events_per_io": 0.06250, "cpu_us_per_io": 0.692}')


class Tap:
    def __init__(self):
        self.n, self.failed = 0, 0

    def same(self, got, wanted, name):
        self.n += 1
        print(f"{'ok' if got == wanted else 'not ok'} {self.n} - {name}")
        if got != wanted:
            self.failed += 1
            print(f'# got {got!r}, wanted {wanted!r}')

    def done(self):
        print(f'1..{self.n}')
        return 1 if self.failed else 0


def runs(who, key, values):
    return [{'round': r, 'who': who, 'figures': {key: v}} for r, v in enumerate(values) if v is not None]


def case(name, found, **more):
    return {'name': name, 'axes': cases.Case(name, **more).axes(), 'left_out': None, 'missing': {}, 'runs': found,
            'counted': {}, 'medians': figures.medians(found),
            'ratios': figures.all_ratios(found, 'ring', ('iops', 'cpu_us'))}


def test_summaries(tap):
    tap.same(figures.quantile([3], 0.5), 3, 'the median of one is that one')
    tap.same(figures.quantile([4, 1, 3, 2], 0.5), 2.5, 'of an even number it lies between two')
    found = figures.summary([5, 1, 4, 2, 3])
    tap.same(found, {'median': 3, 'q1': 2, 'q3': 4, 'low': 1, 'high': 5, 'n': 5}, 'median, middle half, lowest and highest')
    tap.same(figures.summary([None, None]), None, 'nothing measured is no summary')
    tap.same(figures.summary([7, None])['n'], 1, 'what was not measured does not count')


def test_intervals(tap):
    # Tables of the sign test: 15 values leave out 3 at either end, 31 leave out 9.
    tap.same(figures.median_interval(range(1, 6)), None, 'five rounds cannot tell')
    tap.same(figures.median_interval(range(1, 7)), (1, 6), 'six: all of them')
    tap.same(figures.median_interval(range(1, 16)), (4, 12), 'fifteen: from the 4th to the 12th')
    tap.same(figures.median_interval(range(1, 32)), (10, 22), 'thirty-one: from the 10th to the 22nd')


def test_ratios(tap):
    # The machine is twice as slow in round 1, for both: the ratio stays. Round 2 has one of the two only.
    both = runs('ring', 'iops', [90, 45, 99, 110]) + runs('fio', 'iops', [100, 50, None, 100])
    tap.same(figures.ratios(both, 'ring', 'fio', 'iops'), [0.9, 0.9, 1.1], "ratios are the rounds' own")
    tap.same(figures.ratio(both, 'ring', 'fio', 'iops')['median'], 0.9, 'and their median is the ratio')
    tap.same(figures.ratio(both, 'ring', 'qdisk', 'iops'), None, 'without the peer there is none')
    tap.same(figures.ratios(runs('a', 'x', [1]) + runs('b', 'x', [0]), 'a', 'b', 'x'), [], 'nor over nothing')
    tap.same(sorted(figures.all_ratios(both, 'ring', ('iops',))), ['ring/fio'], 'one for each other contender')


def test_growth(tap):
    def points(*medians):
        return [(x, figures.summary([m * 0.99, m, m * 1.01])) for x, m in enumerate(medians)]

    tap.same(figures.grows(points(9, 5, 3, 3.1), 0.1), None, 'falling, then a little up, is flat or falling')
    found = figures.grows(points(9, 3, 4), 0.1)
    tap.same((found['from'], found['to'], round(found['by'], 2)), (1, 2, 1.33), 'a third more is not')
    wide = [(1, figures.summary([2, 3, 6])), (2, figures.summary([3, 4, 5]))]
    tap.same(figures.grows(wide, 0.1), None, 'what lies within the spread has not grown')


def test_reading(tap):
    found = fio.figures(FIO)
    tap.same((found['iops'], found['p50'], found['p99'], found['p999']), (281990.09901, 19.328, 75.264, 9502.72),
             'fio: writes, percentiles in us')
    tap.same(round(found['cpu_us'], 4), round(0.355 * 200000 / 28481, 4), 'fio: CPU of both jobs per I/O')
    found = ring.figures(RING)
    tap.same((found['iops'], found['mb_s'], found['p999'], found['cpu_us']), (318264, 1303.61, 409.6, 0.3075),
             'blkfront-bench: of all disks')
    tap.same(found['events'], 0.1875, 'events of both directions')
    tap.same(found['p99_spread'], 2.0, "the worst disk's p99 over the best's")


def test_comparing(tap):
    def result(ring_iops):
        return {'cases': [case('x', runs('ring', 'iops', ring_iops) + runs('fio', 'iops', [100] * 5))]}

    old, near, far = result([90, 91, 92, 93, 94]), result([92, 93, 94, 95, 96]), result([80, 81, 82, 83, 84])
    sums = slice(-len(compare.MEANING) - 2, -len(compare.MEANING))
    tap.same(compare.table(old, near)[sums], ['figures: 2, of which 2 agrees, 0 overlaps, 0 DIFFERS',
                                              'ratios to a peer: 1, of which 1 agrees, 0 overlaps, 0 DIFFERS'], 'near is the same')
    lines = compare.table(old, far)
    tap.same([line.split()[0] for line in lines[sums]], ['figures:', 'ratios'], 'the sums come last, before what the words mean')
    tap.same([line.split()[-1] for line in lines[1:4]], ['DIFFERS', 'DIFFERS', 'agrees'], 'what differs comes first')
    tap.same('-10.9 %' in lines[1], True, 'with the change')
    between = compare.table(old, result([80, 81, 82, 83, 90]))
    tap.same([line.split()[-1] for line in between[1:4]], ['overlaps', 'overlaps', 'agrees'], 'only the ends of the rounds meet')
    tap.same(compare.table(old, {'cases': []})[sums.stop - 1], 'the two have no case in common', 'nothing to compare is said')


def verdict_of(found, target):
    return targets.verdicts(found, [target])[0]


def test_verdicts(tap):
    def s4(values):
        return verdict_of([case('s4', runs('ring', 'iops', values) + runs('echo', 'iops', [100] * 3), targets=('S4',))], 'S4')

    tap.same(s4([60, 61, 62])['verdict'], targets.MET, 'as much as the limit is met')
    tap.same(s4([10, 59, 99])['verdict'], targets.MISSED, 'the median counts, not the best')
    empty = case('s4', [], targets=('S4',))
    empty['left_out'] = 'no echo'
    found = verdict_of([empty], 'S4')
    tap.same((found['verdict'], found['parts'][0]['note']), (targets.UNKNOWN, 'no echo'), 'not measured says why')
    idle = case('s7', runs('ring', 'wake_ups_per_s', [0.2]) + runs('ring', 'private_kib', [400]), targets=('S7',))
    tap.same([p['verdict'] for p in verdict_of([idle], 'S7')['parts']], [targets.MISSED, targets.MET],
             'a wake-up in five seconds is one too many')


def test_limits(tap):
    """What stands beside a figure that was missed: what others reached in the same rounds."""
    found = sum((runs(who, key, [value]) for who, value in (('ring', 80), ('bare', 70), ('fio', 100))
                 for key in ('iops', 'cpu_us')), [])
    missed = verdict_of([case('s1-x', found, targets=('S1',))], 'S1')['parts'][0]
    tap.same((missed['verdict'], missed['note']), (targets.MISSED, 'limit: bare/fio 0.700'), 'the bare one, against the same peer')
    disks = sum((runs(who, 'iops', [value]) for who, value in
                 (('ring', 40), ('one-disk', 100), ('fio', 45), ('fio-one-disk', 90))), [])
    tap.same(verdict_of([case('s6', disks, targets=('S6',))], 'S6')['parts'][0]['note'], 'limit: fio/fio-one-disk 0.500',
             "what many disks leave of one, as others' has it")
    counted = case('s1-x', found + runs('bare', 'events', [0.25]), targets=('S9',))
    counted['counted'] = {'ring': {'syscalls': 0.3}, 'bare': {'syscalls': 0.2}}
    tap.same([p['note'] for p in verdict_of([counted], 'S9')['parts']], ['limit: bare 0.250', 'limit: bare 0.200'],
             'events and system calls of the bare one')
    steps = [case(f'queues-null-{n}', runs('ring', 'cpu_us', [us]) + runs('echo', 'cpu_us', [us / 2]), targets=('S11',))
             for n, us in ((1, 1), (2, 2))]
    note = next(p['note'] for p in targets.s11(steps) if p['what'].endswith('queues, null'))
    tap.same(note, '1: 1.00 2: 2.00, 100 % more at 2 than at 1; limit: echo 1: 0.50 2: 1.00, 100 % more at 2 than at 1',
             'and how the CPU of others grows')


def test_poll_off(tap):
    """Without the option there is no polling, and the plain case stands for the one without."""
    def late(reason):
        plain = case('s2-x', sum((runs(who, 'p50', [us]) for who, us in (('ring', 100), ('fio', 60), ('echo', 35))), []),
                     targets=('S2',))
        off = case('s2-x-poll-off', [], targets=('S2',), options=('poll=off',))
        off['left_out'] = reason
        parts = verdict_of([plain, off], 'S2')['parts']
        return [p['figure']['median'] for p in parts if 'p50' in p['what'] and 'figure' in p]

    tap.same(late('the worker does not know poll=off'), [5], 'p50 above fio and two wake-ups, of a worker that never polls')
    tap.same(late('no loop device'), [], 'a worker that may poll is not judged by that')


def test_choosing(tap):
    everything = cases.for_targets() + cases.for_axes()
    names = [c.name for c in everything]
    tap.same(len(names), len(set(names)), 'names of cases are unique')
    tap.same([c.name for c in cases.chosen(everything, ['S8', 'qd-tmpfs-1'])], ['s8-attach', 'qd-tmpfs-1'],
             'targets and names choose')
    tap.same(len(cases.chosen(everything, ['qd-tmpfs'])), 8, 'and beginnings')
    try:
        cases.chosen(everything, ['S99'])
        said = ''
    except ValueError as error:
        said = str(error)
    tap.same(said, 'there is no case or target S99', 'what there is none of is refused')
    tap.same({t for c in everything for t in c.targets}, set(targets.WHAT), 'each target has a case')
    tap.same([host.vdev_of(i) for i in (0, 15, 16, 26)],
             [('xvda', 51712), ('xvdp', 51952), ('xvdq', 268439552), ('xvdaa', 268442112)], 'virtual disks')


def test_words(tap):
    many = cases.Case('x', queues=4, qd=32, bs='1M', cache='none')
    words = fio.command(many, ['/a', '/b'], 0.4, 'io_uring', {})
    tap.same([w for w in words if w.startswith(('--runtime', '--ioengine', '--iodepth', '--numjobs'))],
             ['--runtime=400ms', '--ioengine=io_uring'] + ['--iodepth=8', '--numjobs=4'] * 2, 'fio: a job for each ring')
    buffered = cases.Case('x', qd=8, cache='writeback')
    words = fio.command(buffered, ['/a'], 1, 'libaio', {})
    tap.same([w for w in words if w.startswith(('--ioengine', '--direct', '--iodepth', '--numjobs'))],
             ['--ioengine=psync', '--direct=0', '--iodepth=1', '--numjobs=8'], 'through the page cache one for each I/O')
    tap.same(cases.Case('x', cache='directsync', transfer='map', options=('poll=off',)).script_options,
             ('cache=directsync', 'transfer=map', 'poll=off'), 'the options of the script')
    tap.same(report.case_title(case('x', [], disks=4, transfer='copy')),
             'disk, randread 4k, 32 in flight, 4 disks, transfer: copy', 'a case in words')


def main():
    tap = Tap()
    for test in (test_summaries, test_intervals, test_ratios, test_growth, test_reading, test_comparing, test_verdicts, test_limits,
                 test_poll_off, test_choosing, test_words):
        test(tap)
    return tap.done()


if __name__ == '__main__':
    sys.exit(main())
