"""A result as Markdown, and the quick selection's as a table for a terminal."""
import figures
import targets

COLUMNS = (('iops', 'IOPS', 0), ('mb_s', 'MB/s', 1), ('p50', 'p50 us', 1), ('p99', 'p99 us', 1), ('p999', 'p99.9 us', 1),
           ('cpu_us', 'CPU us/I/O', 2), ('to_backend', 'events to', 4), ('to_frontend', 'events from', 4))


def number(value, digits):
    return f'{value:.{digits}f}'


def spread(summary, digits=2):
    return (f"{number(summary['median'], digits)} ({number(summary['q1'], digits)}..{number(summary['q3'], digits)}; "
            f"{number(summary['low'], digits)}..{number(summary['high'], digits)})")


def describe(result):
    machine, versions = result['machine'], result['versions']
    yield f"- machine: {machine['cpu']}, {machine['cpus']} CPUs, {machine['memory_mib']} MiB, load {machine['load']} at the " \
          f"beginning and {result['load_after']} at the end"
    yield f"- kernel: {machine['kernel']}"
    yield f"- disk: {machine['files_mib']} MiB files on {machine['filesystem']}; xenstored and hypervisor simulated"
    yield '- versions: ' + ', '.join(f'{k} {v}' for k, v in versions.items())
    yield f"- run: {result['began']}, {result['took_s']:.0f} s, seed {result['seed']}, `{' '.join(result['command'])}`"
    if result['slow_percent']:
        yield f"- **every worker wastes {result['slow_percent']} % of its CPU on purpose**"


def measured(part):
    """What was measured, and what there is to be said beside it."""
    return spread(part['figure'], 3) if part.get('figure') else '', f"({part['note']})" if part['note'] else ''


def target_rows(found):
    yield '| target | | verdict | measured: median (middle half; lowest..highest) | limit |'
    yield '|---|---|---|---|---|'
    for target in found:
        yield f"| **{target['target']}** | {target['what']} | **{target['verdict']}** | | |"
        for part in target['parts']:
            figure = ' '.join(measured(part))
            limit = f"{part['sense']} {part['limit']}" if 'limit' in part else ''
            yield f"| | {part['what']} | {part['verdict']} | {figure} | {limit} |"


def case_title(case):
    axes = case['axes']
    more = [f"{axes['disks']} disks"] if axes['disks'] > 1 else []
    more += [f"{axes['queues']} queues"] if axes['queues'] > 1 else []
    more += [f"cache={axes['cache']}"] if axes['cache'] != 'none' else []
    more += [f"transfer: {axes['transfer']}"] if axes['transfer'] != 'persistent' else []
    more += list(axes['options'])
    return ', '.join([f"{axes['storage']}, {axes['op']} {axes['bs']}, {axes['qd']} in flight"] + more)


def case_rows(case):
    for who, found in case['medians'].items():
        cells = [number(found[key]['median'], digits) if found.get(key) else '' for key, _, digits in COLUMNS]
        calls = case['counted'].get(who, {}).get('syscalls')
        pair = case['ratios'].get(f'ring/{who}', {})
        ratios = [spread(pair[key]) if pair.get(key) else '' for key in ('iops', 'cpu_us')]
        yield '| ' + ' | '.join([who] + cells + ['' if calls is None else number(calls, 3)] + ratios) + ' |'


def cases_part(cases):
    head = ['who'] + [name for _, name, _ in COLUMNS] + ['calls/I/O', 'IOPS: ring/this', 'CPU: ring/this']
    for case in cases:
        yield f"\n### {case['name']}: {case_title(case)}\n"
        if case['left_out']:
            yield f"Left out: {case['left_out']}."
            continue
        for who, reason in case['missing'].items():
            yield f'Without {who}: {reason}.\n'
        if case['axes']['kind'] != 'io':
            yield from other_rows(case)
            continue
        yield '| ' + ' | '.join(head) + ' |'
        yield '|' + '---|' * len(head)
        yield from case_rows(case)


def other_rows(case):
    yield '| who | figure | median (middle half; lowest..highest) |'
    yield '|---|---|---|'
    for who, found in case['medians'].items():
        for key, summary in found.items():
            yield f'| {who} | {key} | {spread(summary)} |'


def sensitivity(cases):
    """Whether the deliberate slowdown shows: whether all of where the median may lie is above 1."""
    for case in cases:
        found = {key: figures.ratios(case['runs'], 'slow', 'ring', key) for key in ('cpu_us', 'iops')}
        if not case['name'].startswith('slow-') or not all(found.values()):
            continue
        interval = figures.median_interval(found['cpu_us'])
        seen = 'too few to tell' if not interval else 'seen' if interval[0] > 1 else 'NOT seen'
        yield (f"\nA worker that wastes 10 % of its CPU, against itself when it does not, {case['axes']['bs']} reads, "
               f"{len(found['cpu_us'])} rounds: **{seen}**.")
        for key, values in found.items():
            interval = figures.median_interval(values)
            sure = '; with 95 %% certainty the median is within %.3f..%.3f' % interval if interval else ''
            yield f"- {'CPU per I/O' if key == 'cpu_us' else 'IOPS'}: {spread(figures.summary(values), 3)} times{sure}"


def markdown(result):
    cases = result['cases']
    yield '# What the bench suite measured\n'
    yield from describe(result)
    yield '\nRatios are medians of the rounds\' own ratios. Verdicts compare medians with the limits, and are information.\n'
    yield '## Targets\n'
    yield from target_rows(result['targets'])
    yield from sensitivity(cases)
    if result['errors']:
        yield '\n## What broke\n'
        yield from (f'- {error}' for error in result['errors'])
    yield '\n## Plots\n'
    yield from (f'![{name}]({name})' for name in result['plots']['drawn'])
    if result['plots']['problem']:
        yield f"Not drawn: {result['plots']['problem']}."
    yield '\n## Cases'
    yield from cases_part(cases)


# ---- for a terminal ----------------------------------------------------------------------------

def quick_row(case):
    ring, fio = case['medians'].get('ring'), case['medians'].get('fio')
    name = f"{case['name']:<18}"
    if not ring or not fio:
        return f"{name}left out: {case['left_out'] or 'something broke'}"
    ratio = case['ratios']['ring/fio']['iops']
    at = {who: f"{found['p50']['median']:.0f}/{found['p99']['median']:.0f}"
          for who, found in (('ring', ring), ('fio', fio))}
    return (f"{name}{ring['iops']['median']:<9.0f} {fio['iops']['median']:<9.0f} "
            f"{ratio['median']:.2f} ({ratio['low']:.2f}..{ratio['high']:.2f})   "
            f"{ring['cpu_us']['median']:<7.1f} {ring['frontend_cpu_us']['median']:<9.1f} {fio['cpu_us']['median']:<6.1f}"
            f"{ring['to_backend']['median']:<7.3f} {ring['to_frontend']['median']:<8.3f}{at['ring']:<12} {at['fio']}")


def terminal(result):
    yield from describe(result)
    yield ''
    yield f"{'':<18}{'IOPS':<42}{'CPU us per I/O':<24}{'events per I/O':<16}p50/p99 us"
    yield f"{'':<18}{'ring':<9} {'fio':<9} {'ratio':<22}{'worker':<7} {'guest*':<9} {'fio':<6}{'to us':<7} {'from us':<8}{'ring':<12} fio"
    yield from (quick_row(case) for case in result['cases'])
    yield ''
    yield '*  the simulated one; it has a CPU of its own to live on only if there are two'


def summary_lines(result):
    """What a whole run prints: the targets."""
    yield from describe(result)
    yield ''
    for target in result['targets']:
        yield f"{target['target']:<5}{target['verdict']:<14}{target['what']}"
        for part in target['parts']:
            limit = f" {part['sense']} {part['limit']}" if 'limit' in part else ''
            figure, note = measured(part)
            yield f"     {part['verdict']:<14}{part['what']}: {figure}{limit} {note}".rstrip()
    yield from sensitivity(result['cases'])


def targets_wanted(cases):
    """Those that a selection of cases can say something about, in the issue's order."""
    meant = {target for case in cases for target in case['axes']['targets']}
    return [target for target in targets.WHAT if target in meant]
