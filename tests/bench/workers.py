"""What more worker processes bring: `make bench ARGS=workers`.

Servers with one, two and four workers run side by side on one PostgreSQL and take turns. While each is measured, the
connections of each worker are counted: with few connections, an uneven spread leaves a worker idle.
"""

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any, Final

from peers.endpoint import Endpoint
from peers.field import Builder
from peers.generator import Generator, generator
from peers.ratios import cores
from rich.console import Console
from rich.table import Table
from sockets import connections_of
from surroundings import measured_on

WORKERS: Final = (1, 2, 4)
CLIENTS: Final = (8, 32)
# The worker with most connections may hold half as many again as an even share.
TARGET: Final = 1.5


def measured(directory: Path, say: Any, wanted: int, seconds: float) -> dict[str, Any]:
    """Return the medians of the rounds for each number of workers and clients, and the spread of the connections."""
    rounds: dict[str, list[dict[str, Any]]] = {}
    with ExitStack() as stack:
        builder = Builder(stack, directory, say)
        for workers in WORKERS:
            say(f"starting {workers} of {max(WORKERS)} workers")
            builder.ours(str(workers), "", "--workers", str(workers))
        sender = generator(stack, directory)
        about = measured_on(sender.name, wanted, seconds, builder.field.versions)
        for number in range(wanted):
            say(f"round {number + 1} of {wanted}")
            for clients in CLIENTS:
                for endpoint in builder.field.endpoints:
                    one = _once(endpoint, sender, clients, seconds)
                    rounds.setdefault(f"{endpoint.name}/{clients}", []).append(one)
    return {"measured_on": about(), "figures": {name: _summary(name, rounds) for name in rounds}}


def _once(endpoint: Endpoint, sender: Generator, clients: int, seconds: float) -> dict[str, Any]:
    with ThreadPoolExecutor(1) as beside:
        figures = beside.submit(endpoint.measure, sender, clients, seconds)
        spread: list[int] = []
        # Until all are there: then nobody comes or goes before the end.
        while not figures.done() and sum(spread) < clients:
            spread = _of_workers(endpoint)
        return {**figures.result(), "spread": spread}


def _of_workers(endpoint: Endpoint) -> list[int]:
    counts = connections_of(endpoint.pid, endpoint.port)
    # With several workers, the first process only watches them; helpers of theirs hold no connection.
    workers = int(endpoint.name)
    return sorted(counts.values(), reverse=True)[:workers]


def _summary(name: str, rounds: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    several, clients = rounds[name], name.split("/")[1]
    alone = rounds[f"{WORKERS[0]}/{clients}"]
    ratios = sorted(one["calls_per_s"] / other["calls_per_s"] for one, other in zip(several, alone, strict=True))
    uneven = [max(one["spread"]) * len(one["spread"]) / sum(one["spread"]) for one in several]
    return {
        **{key: round(median(one[key] for one in several), 3) for key in several[0] if key != "spread"},
        "to_one_worker": [round(one, 3) for one in (ratios[0], median(ratios), ratios[-1])],
        "most_to_even": round(max(uneven), 3),
        "spreads": [one["spread"] for one in several],
    }


def show(result: dict[str, Any], console: Console) -> None:
    """Print the figures; plain text when piped."""
    table = Table(
        "workers", "clients", "calls/s", "to one worker", "p99 ms", "cores: server", "PostgreSQL", "connections"
    )
    for name, one in result["figures"].items():
        low, middle, high = one["to_one_worker"]
        cells = [*name.split("/"), f"{one['calls_per_s']:,.0f}", f"{middle:.2f} ({low:.2f} to {high:.2f})"]
        cells += [f"{one['p99_ms']:.1f}", *(f"{share:.2f}" for share in cores(one))]
        table.add_row(*cells, " ".join("/".join(map(str, spread)) for spread in one["spreads"]))
    console.print(table)
    worst = max(one["most_to_even"] for one in result["figures"].values())
    console.print(f"most connections of one worker, of an even share: {worst:.2f} (at most {TARGET})", highlight=False)


def is_met(result: dict[str, Any]) -> bool:
    """Whether no worker had much more than its share of the connections."""
    return all(one["most_to_even"] <= TARGET for one in result["figures"].values())
