"""`make bench`: every measurement of this folder in one run, as tables and as JSON, against its targets."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any, Final

from dataset import folder
from documents import TARGET_P99, measured_documents
from rich.console import Console
from rich.table import Table
from run import ROOT, measured

TARGET_OF_BARE: Final = 0.5
TARGET_GROWTH: Final = 1.2


def show(result: dict[str, Any], console: Console) -> None:
    """Print the tables; plain text when piped."""
    table = Table("candidate", "clients", "calls/s", "CPU µs/call", "p50 ms", "p99 ms", "of bare", "of bare by CPU")
    for name, one in result["figures"].items():
        candidate, clients = name.split("/")
        of_bare = one["calls_per_s"] / result["figures"][f"bare/{clients}"]["calls_per_s"]
        per_cpu = result["figures"][f"bare/{clients}"]["cpu_us"] / one["cpu_us"]
        cells = (f"{one['calls_per_s']:,.0f}", f"{one['cpu_us']:.0f}", f"{one['p50_ms']:.2f}", f"{one['p99_ms']:.2f}")
        table.add_row(candidate, clients, *cells, f"{of_bare:.2f}", f"{per_cpu:.2f}")
    console.print(table)
    for era, ratio in result["of_bare_at_8_clients"].items():
        console.print(f"{era} at 8 clients: {ratio:.2f} of the bare endpoint (at least {TARGET_OF_BARE})")
    console.print(f"p50 at 1,000,000 claims / at 10,000: {result['growth_p50']:.2f} (at most {TARGET_GROWTH})")
    beside = result["documents"]["p99_busy_to_quiet"]
    console.print(f"p99 of query_claims beside 32 searches of 2 s / without: {beside:.2f} (at most {TARGET_P99})")
    token = result["verification"]
    console.print(
        f"of a call's CPU, an RS256 token takes {token['repeated_share_of_call']:.1%} each time, "
        f"and {token['first_rs256_share_of_call']:.0%} once a minute"
    )
    for name, lines in result["profiles"].items():
        console.print(f"\nprofile of {name}, 8 clients, by own time:", *lines, sep="\n", highlight=False)


def main() -> int:
    """Measure, print, write JSON; 1 when a target is missed."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--seconds", type=float, default=1.2, help="of each candidate in each round")
    arguments.add_argument("--folder", type=Path, default=folder(ROOT), help="where the databases are kept")
    wanted = arguments.parse_args()
    directory: Path = wanted.folder
    directory.mkdir(parents=True, exist_ok=True, mode=0o711)
    console = Console(width=120)
    say = Console(stderr=True, highlight=False).print
    result = measured(directory, say, wanted.rounds, wanted.seconds)
    result["documents"] = measured_documents(directory, say, rounds=min(3, wanted.rounds))
    show(result, console)
    file = ROOT / ".tenantgate" / "bench.json"
    file.write_text(json.dumps(result, indent=2))
    console.print(f"\nwritten to {file.relative_to(ROOT)}")
    met = (
        min(result["of_bare_at_8_clients"].values()) >= TARGET_OF_BARE,
        result["growth_p50"] <= TARGET_GROWTH,
        result["documents"]["p99_busy_to_quiet"] <= TARGET_P99,
    )
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(main())
