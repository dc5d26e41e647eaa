"""A promise in seconds, measured on a machine that others use too."""

import pytest

# Measured again, twice at most, where a busy machine broke it: a promise that is not kept fails all three times.
timed = pytest.mark.flaky(reruns=2, only_rerun=["AssertionError"])
