"""Arithmetic of the suite: medians, spreads, ratios of rounds, whether two results agree. Pure."""
import math


def quantile(values, fraction):
    """Between two values of the sorted list it goes in a straight line."""
    values = sorted(values)
    place = (len(values) - 1) * fraction
    below = int(place)
    above = min(below + 1, len(values) - 1)
    return values[below] + (values[above] - values[below]) * (place - below)


def summary(values):
    """The median of the rounds, the middle half of them (q1 to q3), and the lowest and highest. None without any."""
    values = [v for v in values if v is not None]
    if not values:
        return None
    return {'median': quantile(values, 0.5), 'q1': quantile(values, 0.25), 'q3': quantile(values, 0.75),
            'low': min(values), 'high': max(values), 'n': len(values)}


def median_interval(values):
    """
    Where the median of endless rounds lies in 95 of 100 cases, whatever their distribution is: so many values from either end of the
    sorted list. None with fewer than 6, which cannot tell.
    """
    values, n, skip, chance = sorted(values), len(values), 0, 0.0
    while True:
        chance += math.comb(n, skip) / 2 ** n
        if 2 * chance > 0.05:
            break
        skip += 1
    return (values[skip - 1], values[n - skip]) if skip else None


def by_round(runs, who, key):
    """One figure of one contender: round -> value."""
    return {run['round']: run['figures'][key] for run in runs
            if run['who'] == who and run['figures'].get(key) is not None}


def ratios(runs, who, peer, key):
    """The rounds' own ratios, of the rounds in which both ran."""
    over, below = by_round(runs, who, key), by_round(runs, peer, key)
    return [over[r] / below[r] for r in sorted(over) if below.get(r)]


def ratio(runs, who, peer, key):
    return summary(ratios(runs, who, peer, key))


def medians(runs):
    """who -> figure -> summary, of figures that are numbers."""
    found = {}
    for run in runs:
        found.setdefault(run['who'], set()).update(
            k for k, v in run['figures'].items() if isinstance(v, (int, float)))
    return {who: {key: summary(by_round(runs, who, key).values()) for key in sorted(keys)}
            for who, keys in sorted(found.items())}


def all_ratios(runs, who, keys):
    """who/peer -> figure -> summary, for each other contender."""
    peers = sorted({run['who'] for run in runs} - {who})
    return {f'{who}/{peer}': {key: ratio(runs, who, peer, key) for key in keys} for peer in peers}


def agree(old, new, low='q1', high='q3'):
    """Whether the middle halves of two summaries have something in common; or all of them, from 'low' to 'high'."""
    return old[low] <= new[high] and new[low] <= old[high]


def grows(points, tolerance):
    """
    Of (x, summary) in the order of x: the first that is more than @tolerance above the lowest before it, not within
    the spread of both either. None if all is flat or falls.
    """
    lowest = None
    for x, here in points:
        if lowest and here['median'] > lowest[1]['median'] * (1 + tolerance) and here['q1'] > lowest[1]['q3']:
            return {'from': lowest[0], 'to': x, 'by': here['median'] / lowest[1]['median']}
        if not lowest or here['median'] < lowest[1]['median']:
            lowest = (x, here)
    return None
