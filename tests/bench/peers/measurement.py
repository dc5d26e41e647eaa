"""All rounds of all peers: A B C, A B C, …, so that a slow minute of the machine hits each of them alike."""

import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

from surroundings import measured_on

from peers import ratios
from peers.field import Builder, Field
from peers.generator import Generator, generator
from peers.names import BEFORE, FASTMCP, FLOOR, OURS, RECORDED, REMEMBERS, TOOLBOX, VERIFIES
from peers.processor_time import is_counted

CLIENTS: Final = (8, 32)
FLOOR_CONNECTIONS: Final = (1, 8)
Rounds = dict[str, list[dict[str, float]]]


def measured(directory: Path, say: Any, wanted: int, seconds: float, against: Path | None = None) -> dict[str, Any]:
    """Start everything, run all rounds, and return figures and ratios; `against` is the root of another checkout."""
    if not is_counted():
        sys.exit("CPU time is read from /proc, which this system does not have; run this on Linux.")
    with ExitStack() as stack:
        builder = Builder(stack, directory, say)
        _start(builder, against)
        field, sender = builder.field, generator(stack, directory)
        about = measured_on(sender.name, wanted, seconds, field.versions)
        for endpoint in field.endpoints:
            say(f"warming up {endpoint.name}")
            endpoint.measure(sender, CLIENTS[0], 1)
        rounds: Rounds = {}
        for number in range(wanted):
            say(f"round {number + 1} of {wanted}")
            _round(field, sender, number, seconds, rounds)
    return {
        "measured_on": about(),
        "not_run": field.not_run,
        "answer_bytes": {one.name: one.answer_bytes for one in field.endpoints},
        **ratios.summary(rounds),
    }


def _start(builder: Builder, against: Path | None) -> None:
    builder.attempt(OURS, lambda: builder.ours(OURS))
    builder.attempt(RECORDED, builder.recorded)
    if against is not None:
        builder.attempt(BEFORE, lambda: builder.other_checkout(against.resolve()))
    builder.attempt(TOOLBOX, builder.toolbox)
    builder.attempt(FASTMCP, builder.fastmcp)
    builder.attempt(REMEMBERS, lambda: builder.bare(REMEMBERS, "once"))
    builder.attempt(VERIFIES, lambda: builder.bare(VERIFIES, "each"))
    builder.attempt(FLOOR, builder.compile_floor)


def _round(field: Field, sender: Generator, number: int, seconds: float, rounds: Rounds) -> None:
    # Another one begins each time, so that none always follows the same neighbour.
    first = number % len(field.endpoints)
    for clients in CLIENTS:
        for endpoint in field.endpoints[first:] + field.endpoints[:first]:
            figures = endpoint.measure(sender, clients, seconds)
            rounds.setdefault(f"{endpoint.name}/{clients}", []).append(figures)
    for connections in FLOOR_CONNECTIONS if field.floor else ():
        assert field.floor is not None
        figures = field.floor.measure(connections, seconds)
        rounds.setdefault(f"{FLOOR}/{connections}", []).append(figures)
