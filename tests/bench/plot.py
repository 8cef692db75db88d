"""The plots, as SVG by gnuplot."""
import shutil
import subprocess

import targets

COLOURS = {'ring': '#1f5fbf', 'fio': '#555555', 'fio-uring': '#999999', 'qdisk': '#c05020', 'echo': '#2a8a3a', 'echo-looks': '#7ab87a',
           'bare': '#8a4fb0', 'bare-looks': '#b99ad0'}


def number_of_bytes(text):
    return int(text[:-1]) << {'k': 10, 'M': 20}[text[-1]] if text[-1] in 'kM' else int(text)


def block_sizes(cases, who, key):
    points = []
    for case in cases:
        found = case['medians'].get(who, {}).get(key)
        if case['name'].startswith('bs-') and found:
            points.append((number_of_bytes(case['axes']['bs']), found))
    return sorted(points, key=lambda point: point[0])


def ratio_series(cases, prefix, pair):
    return sorted(((int(case['name'][len(prefix):]), case['ratios'][pair]['iops']) for case in cases
                   if case['name'].startswith(prefix) and case['ratios'].get(pair, {}).get('iops')),
                  key=lambda point: point[0])


def lines_of(cases, prefix, contenders, key):
    return [(who, targets.series(cases, prefix, who, key)) for who in contenders]


def plans(cases):
    """(file, title, x label, y label, log axes, lines) of each plot; a line is (name, [(x, summary)])."""
    deep = [(f'{where}: ring/{peer}', ratio_series(cases, f'qd-{where}-', f'ring/{peer}'))
            for where in ('disk', 'tmpfs') for peer in ('fio', 'qdisk', 'bare')]
    yield 'iops-ratio-by-depth', 'IOPS against a peer in the same round', 'in flight', 'ratio', 'x', deep
    for prefix, what in targets.SERIES.items():
        yield (f'cpu-by-{prefix.rstrip("-")}', f'CPU per I/O, by {what}', what.split(',')[0], 'us', 'x',
               lines_of(cases, prefix, ('ring', 'fio', 'bare', 'echo'), 'cpu_us'))
    yield ('throughput-by-size', 'Random reads by block size', 'bytes', 'MB/s', 'xy',
           [(who, block_sizes(cases, who, 'mb_s')) for who in ('ring', 'fio')])
    for where in ('disk', 'tmpfs'):
        lines = [(f'{who} {name}', targets.series(cases, f'qd-{where}-', who, key)) for who in ('ring', 'fio')
                 for key, name in (('p50', 'p50'), ('p99', 'p99'), ('p999', 'p99.9'))]
        yield f'latency-by-depth-{where}', f'Latency, {where}', 'in flight', 'us', 'xy', lines


def script_of(path, title, x_label, y_label, log, lines):
    """Medians as lines, the middle half of the rounds as bars."""
    head = [f"set terminal svg size 640,400 font 'sans,11'\nset output '{path}'", f"set title '{title}'",
            f"set xlabel '{x_label}'\nset ylabel '{y_label}'", 'set logscale x 2\nset key outside\nset grid',
            'set logscale y' if 'y' in log else 'set yrange [0:*]']
    body, words = [], []
    for i, (name, points) in enumerate(lines):
        rows = '\n'.join(f"{x} {s['median']} {s['q1']} {s['q3']}" for x, s in points)
        body.append(f'$d{i} << END\n{rows}\nEND')
        colour = f"lc rgb '{COLOURS[name]}'" if name in COLOURS else f'lc {i + 1}'
        words.append(f"$d{i} using 1:2:3:4 with yerrorlines {colour} pt 7 ps 0.5 title '{name}'")
    return '\n'.join(head + body) + '\nplot ' + ', '.join(words) + '\n'


def draw(cases, directory):
    """The names of the plots that there was something for, and a reason if there are none at all."""
    if not shutil.which('gnuplot'):
        return [], 'no gnuplot (package gnuplot-nox)'
    drawn = []
    for name, title, x_label, y_label, log, lines in plans(cases):
        lines = [(who, points) for who, points in lines if len(points) > 1]
        if not lines:
            continue
        script = script_of(f'{directory}/{name}.svg', title, x_label, y_label, log, lines)
        done = subprocess.run(['gnuplot'], input=script, text=True, capture_output=True)
        if done.returncode:
            return drawn, f'gnuplot: {done.stderr.strip()}'
        drawn.append(f'{name}.svg')
    return drawn, None if drawn else 'nothing to be plotted was run'
