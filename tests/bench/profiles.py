"""Where the time of a call goes: own times of functions, in microseconds a call, of one server or of two compared."""

import pstats
from collections import defaultdict
from pathlib import Path
from typing import Any, Final

from processes import Candidate, Process

CLIENTS: Final = 8
_SECONDS: Final = 2.0
_LINES: Final = 25
_CHANGES: Final = 15
Profile = dict[str, float]


def profile(candidate: Candidate, load: Process, directory: Path) -> Profile:
    """Return the own time of every function under load, the longest first; cProfile makes each call dearer."""
    candidate.process.ask("profile")
    calls = candidate.measure(load, CLIENTS, _SECONDS)["calls"]
    file = directory / f"{candidate.name.replace(' ', '-')}.prof"
    candidate.process.ask(f"report {file}")
    spent: defaultdict[str, float] = defaultdict(float)
    for (source, _line, function), (_, _, own_s, _, _) in stats_of(file).items():
        spent[_name(source, function)] += own_s / calls * 1e6
    return dict(sorted(spent.items(), key=lambda one: -one[1]))


def stats_of(file: Path) -> dict[tuple[str, int, str], tuple[int, int, float, float, Any]]:
    """Return what cProfile counted: calls twice, own and whole time in seconds, callers, for each function."""
    return pstats.Stats(str(file)).stats  # pyright: ignore[reportAttributeAccessIssue]


def _name(source: str, function: str) -> str:
    """Return `file.py:function`, which stays the same when a file moves to another folder."""
    return function if source == "~" else f"{Path(source).name}:{function}"


def shown(one: Profile) -> list[str]:
    """Return the lines of one profile."""
    whole = sum(one.values())
    return [f"{own_us:8.1f} µs {own_us / whole:6.1%}  {name}" for name, own_us in list(one.items())[:_LINES]]


def changes(now: Profile, before: Profile) -> list[str]:
    """Return the functions whose own time a call differs most, the dearer ones first."""
    by = {name: now.get(name, 0) - before.get(name, 0) for name in now.keys() | before.keys()}
    ordered = sorted(by, key=lambda name: -by[name])
    lines = [f"own time of a call: {sum(now.values()):.0f} µs now, {sum(before.values()):.0f} µs before"]
    return lines + [
        f"{by[name]:+8.1f} µs  {before.get(name, 0):7.1f} → {now.get(name, 0):7.1f}  {name}"
        for name in [*ordered[:_CHANGES], *ordered[-_CHANGES:]]
    ]
