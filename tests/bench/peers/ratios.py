"""Medians of the rounds, ratios of pairs that were measured in the same round, and the targets."""

from statistics import median
from typing import Any, Final

from peers.names import BEFORE, FLOOR, OURS, RECORDED, REMEMBERS, TOOLBOX

Rounds = dict[str, list[dict[str, float]]]
# What is compared, in the words of the report.
MEASURES: Final = {
    "calls": "calls a second",
    "cpu": "CPU of a call, server",
    "whole_cpu": "CPU of a call, server and PostgreSQL",
    "postgres": "CPU of a call, PostgreSQL",
    "p99": "p99",
}
# Stands for no time at all, so that nothing is divided by zero.
_NOTHING: Final = 1e-6
# Who, compared with whom, by what, at which numbers of clients, and the limit.
_TARGETS: Final = (
    (OURS, TOOLBOX, "cpu", (8, 32), "<=", 0.75),
    (OURS, TOOLBOX, "whole_cpu", (8, 32), "<=", 1.0),
    (OURS, TOOLBOX, "calls", (8, 32), ">=", 0.85),
    (OURS, REMEMBERS, "calls", (8, 32), ">=", 1.0),
    (OURS, TOOLBOX, "p99", (32,), "<=", 1.3),
    (RECORDED, OURS, "cpu", (8, 32), "<=", 1.15),
    (OURS, BEFORE, "postgres", (8, 32), "<=", 0.5),
)


def summary(rounds: Rounds) -> dict[str, Any]:
    """Return `figures` (medians), `ratios` of our server to each other one, and `targets`."""
    figures = {
        name: {key: round(median(one[key] for one in several), 3) for key in several[0]}
        for name, several in rounds.items()
    }
    ratios = {
        f"{name}/{clients}": _compared(rounds[f"{OURS}/{clients}"], several)
        for name, clients, several in _split(rounds)
        if name not in {OURS, FLOOR}
    }
    return {"figures": figures, "ratios": ratios, "targets": [one for one in _judged(rounds) if one is not None]}


def _split(rounds: Rounds) -> list[tuple[str, str, list[dict[str, float]]]]:
    return [(*name.split("/"), several) for name, several in rounds.items()]  # pyright: ignore[reportReturnType]


def _compared(ours: list[dict[str, float]], others: list[dict[str, float]]) -> dict[str, list[float]]:
    """Return lowest, median and highest ratio of the rounds for each measure."""
    spread: dict[str, list[float]] = {}
    for measure in MEASURES:
        pairs = [(_value(one, measure), _value(other, measure)) for one, other in zip(ours, others, strict=True)]
        # A round in which the clock of a process did not advance says nothing of it.
        counted = [pair for pair in pairs if min(pair) > _NOTHING] or pairs
        ratios = sorted(one / other for one, other in counted)
        spread[measure] = [round(one, 3) for one in (ratios[0], median(ratios), ratios[-1])]
    return spread


def _value(figures: dict[str, float], measure: str) -> float:
    key = {"calls": "calls_per_s", "cpu": "cpu_us", "postgres": "postgres_us", "p99": "p99_ms"}.get(measure)
    return max(figures[key] if key else figures["cpu_us"] + figures["postgres_us"], _NOTHING)


def _judged(rounds: Rounds) -> list[dict[str, Any] | None]:
    return [
        _verdict(rounds, who, whom, measure, clients, sense, limit)
        for who, whom, measure, several, sense, limit in _TARGETS
        for clients in several
    ]


def _verdict(
    rounds: Rounds, who: str, whom: str, measure: str, clients: int, sense: str, limit: float
) -> dict[str, Any] | None:
    """Return one target with its median ratio; None when one of both was not run."""
    one, other = rounds.get(f"{who}/{clients}"), rounds.get(f"{whom}/{clients}")
    if one is None or other is None:
        return None
    low, middle, high = _compared(one, other)[measure]
    met = middle <= limit if sense == "<=" else middle >= limit
    return {
        "what": f"{who} to {whom}, {MEASURES[measure]}, {clients} clients",
        "target": f"{'≤' if sense == '<=' else '≥'} {limit}",
        "ratio": middle,
        "spread": [low, high],
        "met": met,
    }


def cores(one: dict[str, Any]) -> tuple[float, float]:
    """Return how many cores the server and PostgreSQL kept busy."""
    return one["cpu_us"] * one["calls_per_s"] / 1e6, one["postgres_us"] * one["calls_per_s"] / 1e6
