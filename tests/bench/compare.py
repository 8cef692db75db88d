"""Two results of the suite, case by case: which medians agree within the spread that both print."""
import figures

KEYS = {'iops': 'IOPS', 'cpu_us': 'CPU us per I/O', 'p50': 'p50 us', 'attach_ms': 'attach ms',
        'private_kib': 'private KiB', 'wake_ups_per_s': 'wake-ups per s'}
RATIO_KEYS = ('iops', 'cpu_us')


def rows_of(case):
    """(who, figure) -> summary, of a case's contenders and of the ratios to its peers."""
    rows = {}
    for who, found in case['medians'].items():
        rows.update({(who, key): found[key] for key in KEYS if found.get(key)})
    for pair, found in case['ratios'].items():
        rows.update({(pair, key): found[key] for key in RATIO_KEYS if found.get(key)})
    return rows


def pairs(old, new):
    """(case, who, figure, old summary, new summary), of what both have."""
    before = {case['name']: rows_of(case) for case in old['cases']}
    for case in new['cases']:
        for (who, key), after in rows_of(case).items():
            found = before.get(case['name'], {}).get((who, key))
            if found:
                yield case['name'], who, key, found, after


def change(old, new):
    return f"{(new['median'] / old['median'] - 1) * 100:+.1f} %" if old['median'] else ''


def text_of(summary):
    digits = 3 if summary['median'] < 10 else 1 if summary['median'] < 1000 else 0
    return f"{summary['median']:.{digits}f} ({summary['q1']:.{digits}f}..{summary['q3']:.{digits}f})"


# From the best to the worst.
AGREES, OVERLAPS, DIFFERS = 'agrees', 'overlaps', 'DIFFERS'
MEANING = {AGREES: 'the middle halves of the rounds have something in common',
           OVERLAPS: 'only the lowest and the highest of them do', DIFFERS: 'not even those'}


def verdict_of(old, new):
    if figures.agree(old, new):
        return AGREES
    return OVERLAPS if figures.agree(old, new, 'low', 'high') else DIFFERS


def table(old, new):
    """Lines of text: first what differs, at the end how many there are of each."""
    found = list(pairs(old, new))
    lines = [f"{'case':<24}{'who':<18}{'figure':<16}{'old':<30}{'new':<30}{'change':<10}"]
    worst_first = list(MEANING)[::-1]
    for name, who, key, before, after in sorted(found, key=lambda row: worst_first.index(verdict_of(row[3], row[4]))):
        verdict = verdict_of(before, after)
        lines.append(f'{name:<24}{who:<18}{KEYS[key]:<16}{text_of(before):<30}{text_of(after):<30}'
                     f'{change(before, after):<10}{verdict}')
    for what, is_meant in (('figures', lambda who: '/' not in who), ('ratios to a peer', lambda who: '/' in who)):
        meant = [row for row in found if is_meant(row[1])]
        verdicts = [verdict_of(row[3], row[4]) for row in meant]
        lines.append(f'{what}: {len(meant)}, of which ' + ', '.join(f'{verdicts.count(v)} {v}' for v in MEANING))
    if not found:
        lines.append('the two have no case in common')
    return lines + [f'{verdict}: {meaning}' for verdict, meaning in MEANING.items()]
