"""What the measurement of calls came to, as tables, and whether its targets are met."""

from typing import Any, Final

import profiles
from documents import TARGET_P99
from rich.console import Console
from rich.table import Table
from run import AGAINST, ERAS

TARGET_OF_BARE: Final = 0.5
TARGET_GROWTH: Final = 1.2
# Two runs of the same code differ by as much.
_SAME: Final = 0.97


def show(result: dict[str, Any], console: Console) -> None:
    """Print the tables; plain text when piped."""
    table = Table("candidate", "clients", "calls/s", "CPU µs/call", "p50 ms", "p99 ms", "of bare", "of bare by CPU")
    for name, one in result["figures"].items():
        candidate, clients = name.split("/")
        bare = result["figures"][f"{AGAINST if candidate.startswith(AGAINST) else ''}bare/{clients}"]
        cells = (f"{one['calls_per_s']:,.0f}", f"{one['cpu_us']:.0f}", f"{one['p50_ms']:.2f}", f"{one['p99_ms']:.2f}")
        ratios = (f"{one['calls_per_s'] / bare['calls_per_s']:.2f}", f"{bare['cpu_us'] / one['cpu_us']:.2f}")
        table.add_row(candidate, clients, *cells, *ratios)
    console.print(table)
    for era in ERAS:
        of_bare, by_cpu = result["of_bare_at_8_clients"][era], result["of_bare_by_cpu"][era]
        console.print(
            f"{era} at 8 clients: {of_bare:.2f} of the bare endpoint (at least {TARGET_OF_BARE}), {by_cpu:.2f} by CPU"
        )
    if "against" in result:
        _show_against(result, console)
    console.print(f"p50 at 1,000,000 claims / at 10,000: {result['growth_p50']:.2f} (at most {TARGET_GROWTH})")
    beside = result["documents"]["p99_busy_to_quiet"]
    console.print(f"p99 of query_claims beside 32 searches of 2 s / without: {beside:.2f} (at most {TARGET_P99})")
    token = result["verification"]
    console.print(
        f"of a call's CPU, an RS256 token takes {token['repeated_share_of_call']:.1%} each time, "
        f"and {token['first_rs256_share_of_call']:.0%} once a minute"
    )
    _show_profiles(result["profiles"], console)


def _show_against(result: dict[str, Any], console: Console) -> None:
    other = result["against"]
    for era in ERAS:
        of_bare, by_cpu = other["of_bare_at_8_clients"][era], other["of_bare_by_cpu"][era]
        console.print(
            f"{era} of the other version: {of_bare:.2f} of its own bare endpoint, {by_cpu:.2f} by CPU (no more)"
        )
    for one in (*ERAS, "bare"):
        calls, cpu = other["calls_to_before"][one], other["cpu_before_to_now"][one]
        console.print(f"{one}, this version to the other: {calls:.2f} by calls a second, {cpu:.2f} by CPU time")


def _show_profiles(profiled: dict[str, profiles.Profile], console: Console) -> None:
    for name, one in profiled.items():
        lines = profiles.shown(one)
        console.print(f"\nprofile of {name}, 8 clients, own time a call:", *lines, sep="\n", highlight=False)
    for name, one in profiled.items():
        if f"{AGAINST}{name}" in profiled:
            lines = profiles.changes(one, profiled[f"{AGAINST}{name}"])
            console.print(f"\n{name}, this version to the other:", *lines, sep="\n", highlight=False)


def is_met(result: dict[str, Any]) -> bool:
    """Whether every target is met."""
    met = [
        min(result["of_bare_at_8_clients"].values()) >= TARGET_OF_BARE,
        result["growth_p50"] <= TARGET_GROWTH,
        result["documents"]["p99_busy_to_quiet"] <= TARGET_P99,
    ]
    if "against" in result:
        # By CPU time, which is steadier than calls a second.
        before = result["against"]["of_bare_by_cpu"]
        met += [result["of_bare_by_cpu"][era] >= _SAME * before[era] for era in ERAS]
    return all(met)
