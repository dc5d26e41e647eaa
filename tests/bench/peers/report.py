"""What the measurement of the peers came to, as tables."""

from typing import Any, Final

from rich.console import Console
from rich.table import Table

from peers.ratios import MEASURES

# The one that sends must have time left, or it is what was measured.
GENERATOR_LIMIT: Final = 0.8


def show(result: dict[str, Any], console: Console) -> None:
    """Print figures, ratios and targets; plain text when piped."""
    table = Table("server", "clients", "calls/s", "CPU µs", "PostgreSQL µs", "p50 ms", "p99 ms", "generator")
    for name, one in result["figures"].items():
        who, clients = name.split("/")
        cells = [f"{one['calls_per_s']:,.0f}", f"{one['cpu_us']:.0f}", f"{one['postgres_us']:.0f}"]
        cells += [f"{one['p50_ms']:.2f}", f"{one['p99_ms']:.2f}", f"{one['generator_share']:.0%}"]
        table.add_row(who, clients, *cells)
    console.print(table)
    table = Table("tenantgate to", "clients", *(f"{words}" for words in MEASURES.values()))
    for name, one in result["ratios"].items():
        who, clients = name.split("/")
        table.add_row(who, clients, *(spread(one[measure]) for measure in MEASURES))
    console.print(table)
    for one in result["targets"]:
        missed = "" if one["met"] else "  MISSED"
        console.print(f"{one['what']}: {one['ratio']:.2f} ({one['target']}){missed}", highlight=False)
    for name, why in result["not_run"].items():
        console.print(f"not run: {name}: {why}", highlight=False, markup=False)
    if busiest(result) > GENERATOR_LIMIT:
        console.print(
            f"{result['measured_on']['load_generator']} took {busiest(result):.0%} of a core: it is the limit"
        )
    figures = result["measured_on"]
    console.print(f"load average before {figures['load_before']}, after {figures['load_after']}", highlight=False)


def busiest(result: dict[str, Any]) -> float:
    """Return the largest share of a core that the load generator took."""
    return max(one["generator_share"] for one in result["figures"].values())


def spread(ratios: list[float]) -> str:
    """Return the median with lowest and highest."""
    low, middle, high = ratios
    return f"{middle:.2f} ({low:.2f} to {high:.2f})"


def is_met(result: dict[str, Any]) -> bool:
    """Whether every target that could be measured is met."""
    return all(one["met"] for one in result["targets"])
