"""The targets of the speed issue against the medians of a result. A verdict is information: met, missed, or not measured."""
import figures

# What a case's part of a target compares: S1 and the like have a row for each.
MET, MISSED, UNKNOWN = 'met', 'missed', 'not measured'

WHAT = {
    'S1': '4k random, 32 in flight, file on the disk',
    'S2': '4k random, one in flight',
    'S3': 'tmpfs, 4k random reads, 32 in flight',
    'S4': 'null storage, 32 to 128 in flight, against the bare echo ring',
    'S5': '128k and 1M sequential, indirect and 11 segments',
    'S6': '64 disks, a light load each',
    'S7': 'a hundred idle disks',
    'S8': 'hotplug script start to Connected',
    'S9': 'events and system calls per I/O, 32 in flight',
    'S11': 'CPU per I/O as in flight, disks and queues grow',
}


def part(what, summary, limit, at_most=False, note=''):
    """One row: a summary against its limit."""
    if summary is None:
        return {'what': what, 'verdict': UNKNOWN, 'note': note}
    good = summary['median'] <= limit if at_most else summary['median'] >= limit
    return {'what': what, 'figure': summary, 'limit': limit, 'sense': '<=' if at_most else '>=',
            'verdict': MET if good else MISSED, 'note': note}


def missing(case):
    return {'what': case['name'], 'verdict': UNKNOWN, 'note': case['left_out'] or 'no run'}


def ratio_part(case, who, peer, key, limit, at_most=False, unit=''):
    words = {'iops': 'IOPS', 'cpu_us': 'CPU per I/O', 'mb_s': 'MB/s'}[key]
    return part(f"{case['name']}: {words}{unit}, {who}/{peer}", figures.ratio(case['runs'], who, peer, key), limit,
                at_most)


def limit_note(case, key, pairs):
    """What others reach of the same peer in the same rounds: the limit of who does nothing but the I/O, or of the machine."""
    found = [(who, peer, figures.ratio(case['runs'], who, peer, key)) for who, peer in pairs]
    return ', '.join(f"{who}/{peer} {ratio['median']:.3f}" for who, peer, ratio in found if ratio)


def with_limit(row, case, key, pairs):
    note = limit_note(case, key, pairs)
    return dict(row, note='; '.join(text for text in (row['note'], f'limit: {note}' if note else '') if text))


def against_fio(case, key, limit):
    bare = [(who, 'fio') for who in ('bare', 'bare-looks')]
    return with_limit(ratio_part(case, 'ring', 'fio', key, limit), case, key, bare)


def figure_part(case, who, key, what, limit):
    return part(f"{case['name']}: {what}", figures.summary(figures.by_round(case['runs'], who, key).values()), limit,
                at_most=True)


def s1(case):
    return [against_fio(case, 'iops', 0.98), ratio_part(case, 'ring', 'fio', 'cpu_us', 1.0, at_most=True)]


def above_wake_ups(case):
    """How much later than fio, beside the echo's two wake-ups, in each round."""
    ring, fio, echo = (figures.by_round(case['runs'], who, 'p50') for who in ('ring', 'fio', 'echo'))
    return figures.summary([ring[r] - fio[r] - echo[r] for r in ring if r in fio and r in echo])


def s2(case):
    """Without polling it is about latency. A worker that knows no such option does not poll."""
    parts = []
    if not case['axes']['options']:
        parts.append(against_fio(case, 'iops', 0.95))
    if case['axes']['options'] or case.get('stands_for_poll_off'):
        parts.append(part(f"{case['name']}: p50 in us above fio's and the echo's two wake-ups", above_wake_ups(case), 8,
                          at_most=True))
    return parts


def s3(case):
    return [ratio_part(case, 'ring', 'fio', 'iops', 1.1),
            with_limit(ratio_part(case, 'ring', 'qdisk', 'iops', 5), case, 'iops', [('fio', 'qdisk')])]


def s4(case):
    return [ratio_part(case, 'ring', who, 'iops', 0.6) for who in ('echo', 'echo-looks')]


def s5(case):
    return [against_fio(case, 'mb_s', 0.98), ratio_part(case, 'ring-11', 'ring', 'mb_s', 0.9)]


def s6(case):
    one_disk = [(who, f'{who}-one-disk') for who in ('bare', 'fio')]
    return [with_limit(ratio_part(case, 'ring', 'one-disk', 'iops', 0.9), case, 'iops', one_disk),
            figure_part(case, 'ring', 'p99_spread', "the worst disk's p99 over the best disk's", 2)]


def s7(case):
    return [figure_part(case, 'ring', 'wake_ups_per_s', 'wake-ups per s, all disks', 0),
            figure_part(case, 'ring', 'private_kib', 'KiB of private memory, each', 3072)]


def s8(case):
    return [figure_part(case, who, 'attach_ms', f'ms, {how}', 50)
            for who, how in (('script', 'the script starts the worker'), ('supervised', 'blkbackd has started it'))]


def s9(case):
    calls = {who: counted.get('syscalls') for who, counted in case['counted'].items()}
    ours = None if calls.get('ring') is None else figures.summary([calls['ring']])
    events = figures.summary(figures.by_round(case['runs'], 'bare', 'events').values())
    least = f"limit: bare {events['median']:.3f}" if events else ''
    fewest = f"limit: bare {calls['bare']:.3f}" if calls.get('bare') else ''
    return [dict(figure_part(case, 'ring', 'events', 'events per I/O, both ways', 0.05), note=least),
            part(f"{case['name']}: system calls per I/O", ours, 0.1, at_most=True, note=fewest)]


# S11 is about series of cases, not about one.
OF_CASE = {'S1': s1, 'S2': s2, 'S3': s3, 'S4': s4, 'S5': s5, 'S6': s6, 'S7': s7, 'S8': s8, 'S9': s9}

# S11: the cases along each axis, by the beginning of their names.
SERIES = {'qd-tmpfs-': 'in flight, tmpfs', 'qd-disk-': 'in flight, disk', 'disks-': 'disks, tmpfs',
          'queues-tmpfs-': 'queues, tmpfs', 'queues-null-': 'queues, null'}
TOLERANCE = 0.1


def series(cases, prefix, who, key):
    """(x, summary) of the cases along one axis, as far as they were run."""
    points = []
    for case in cases:
        end = case['name'][len(prefix):]
        found = figures.summary(figures.by_round(case['runs'], who, key).values())
        if case['name'].startswith(prefix) and end.isdigit() and found:
            points.append((int(end), found))
    return sorted(points, key=lambda point: point[0])


def growth_note(points):
    growth = figures.grows(points, TOLERANCE)
    note = ' '.join(f"{x}: {s['median']:.2f}" for x, s in points)
    if growth:
        note += f", {(growth['by'] - 1) * 100:.0f} % more at {growth['to']} than at {growth['from']}"
    return note


def s11(cases):
    parts = []
    for prefix, what in SERIES.items():
        points = series(cases, prefix, 'ring', 'cpu_us')
        if len(points) < 2:
            parts.append({'what': what, 'verdict': UNKNOWN, 'note': 'no such cases in this run'})
            continue
        note = growth_note(points)
        for who in ('bare', 'echo', 'echo-looks'):
            limit = series(cases, prefix, who, 'cpu_us')
            note += f'; limit: {who} {growth_note(limit)}' if len(limit) > 1 else ''
        parts.append({'what': f'us of CPU per I/O, by {what}',
                      'verdict': MISSED if figures.grows(points, TOLERANCE) else MET, 'note': note})
    return parts


def mark_stand_ins(cases):
    """Where the worker knows no poll=off, the same case without it has no polling either."""
    left_out = {case['name']: case['left_out'] for case in cases}
    for case in cases:
        reason = left_out.get(case['name'] + '-poll-off')
        case['stands_for_poll_off'] = bool(reason and 'does not know' in reason)


def verdicts(cases, wanted):
    """One for each of the @wanted targets, with its parts; met when all that was measured is."""
    mark_stand_ins(cases)
    found = []
    for target in wanted:
        parts = s11(cases) if target == 'S11' else []
        for case in cases:
            if target in case['axes']['targets'] and target in OF_CASE:
                parts += OF_CASE[target](case) if case['runs'] else [missing(case)]
        known = [p['verdict'] for p in parts if p['verdict'] != UNKNOWN]
        verdict = UNKNOWN if not known else MISSED if MISSED in known else MET
        found.append({'target': target, 'what': WHAT[target], 'verdict': verdict, 'parts': parts})
    return found
