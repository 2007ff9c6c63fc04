"""The median of a few samples and how sure it is, without assuming a distribution."""

from math import comb
from statistics import median


def coverage(count, rank):
    """How likely the median lies between the rank-th smallest and largest of `count` samples."""
    return 1 - 2 * sum(comb(count, i) for i in range(rank)) / 2**count


def median_interval(samples, confidence=0.95):
    """(median, low, high, coverage) by order statistics: the narrowest symmetric pair that covers
    `confidence`, or the extremes where there are too few samples for it (fewer than 6 for 95 %)."""
    ordered = sorted(samples)
    rank = 1
    while 2 * (rank + 1) <= len(ordered) and coverage(len(ordered), rank + 1) >= confidence:
        rank += 1
    return median(ordered), ordered[rank - 1], ordered[-rank], coverage(len(ordered), rank)


def self_test():
    assert coverage(5, 1) == 0.9375 and coverage(6, 1) == 0.96875
    assert median_interval([3]) == (3, 3, 3, 0)
    assert median_interval([1, 2, 9]) == (2, 1, 9, 0.75)
    # 6 to 8 samples need their extremes; 9 may leave out one at each end, 12 two.
    assert median_interval(range(8))[1:3] == (0, 7)
    assert median_interval(range(9))[:3] == (4, 1, 7)
    assert median_interval(range(12))[1:3] == (2, 9)
    assert all(median_interval(range(n))[3] >= 0.95 for n in range(6, 60))
