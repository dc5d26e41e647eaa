"""The text of each section that is written from a measurement."""

from typing import Any

from peers.ratios import MEASURES, cores
from peers.report import busiest, spread


def measured_on(result: dict[str, Any]) -> str:
    """Return the sentence that says on what it was measured."""
    known = result["measured_on"]
    versions = ", ".join(f"{name} {version}" for name, version in known["versions"].items())
    each = f" of {known['seconds']:g} s each" if known["seconds"] else ""
    sender = f"; load from {known['load_generator']}" if known["load_generator"] else ""
    return (
        f"Measured on {known['processors']} processors ({known['system']}) with {versions}; "
        f"rounds: {known['rounds']}{each}{sender}. "
        f"The load average was {known['load_before']} before and {known['load_after']} after."
    )


def peers(result: dict[str, Any]) -> str:
    """Return the section about the peers."""
    lines = ["", measured_on(result), ""]
    lines += ["![CPU time of a call, by server](performance.svg)", "", *_ratios(result), ""]
    lines += ["| target | measured | met |", "|---|---|---|"]
    for one in result["targets"]:
        low, high = one["spread"]
        measured = f"{one['ratio']:.2f} ({low:.2f} to {high:.2f})"
        lines.append(f"| {one['what']} {one['target']} | {measured} | {'yes' if one['met'] else 'no'} |")
    lines += [
        "",
        "The medians of all rounds; figures in microseconds are that machine's own:",
        "",
        *_figures(result),
        "",
    ]
    share = f"{busiest(result):.0%}"
    lines += [f"The load generator took at most {share} of a core, so the servers were what was measured.", ""]
    lines += [f"Not run: {name}: {why}." for name, why in result["not_run"].items()]
    return "\n".join(lines)


def _ratios(result: dict[str, Any]) -> list[str]:
    measures = [measure for measure in MEASURES if measure != "postgres"]
    lines = [
        f"| tenantgate to | clients | {' | '.join(MEASURES[measure] for measure in measures)} |",
        f"|---|---|{'---|' * len(measures)}",
    ]
    for name, one in result["ratios"].items():
        who, clients = name.split("/")
        lines.append(f"| {who} | {clients} | {' | '.join(spread(one[measure]) for measure in measures)} |")
    return lines


def _figures(result: dict[str, Any]) -> list[str]:
    lines = [
        "| server | clients | calls a second | CPU µs of a call | PostgreSQL µs of a call | p50 ms | p99 ms | answer |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, one in result["figures"].items():
        who, clients = name.split("/")
        cells = [who, clients, f"{one['calls_per_s']:,.0f}", f"{one['cpu_us']:.0f}", f"{one['postgres_us']:.0f}"]
        size = result["answer_bytes"].get(who)
        cells += [f"{one['p50_ms']:.2f}", f"{one['p99_ms']:.2f}", f"{size / 1000:.1f} kB" if size else ""]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def workers(result: dict[str, Any]) -> str:
    """Return the section about several workers."""
    lines = ["", measured_on(result), ""]
    lines += [
        "| workers | clients | calls a second, to one worker's | p99 ms | cores: server | PostgreSQL | most to even |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, one in result["figures"].items():
        server, postgres = cores(one)
        cells = [*name.split("/"), spread(one["to_one_worker"]), f"{one['p99_ms']:.1f}", f"{server:.2f}"]
        lines.append(f"| {' | '.join([*cells, f'{postgres:.2f}', format(one['most_to_even'], '.2f')])} |")
    return "\n".join([*lines, ""])


def memory(result: dict[str, Any]) -> str:
    """Return the section about memory and the start."""
    lines = ["", measured_on(result), "", "| | target | measured | met |", "|---|---|---|---|"]
    lines += [
        f"| {one['what']} | {one['target']} | {one['measured']} | {'yes' if one['met'] else 'no'} |"
        for one in result["targets"]
    ]
    return "\n".join([*lines, ""])


def growth(result: dict[str, Any]) -> str:
    """Return the section about a large tenant and the small ones beside it."""
    rows = result["rows"]
    large = f"{rows['large']:,} of {rows['large'] + rows['others']:,} rows"
    lines = ["", measured_on(result), "", "Figures in milliseconds are that machine's own:", ""]
    among_few = f"a small tenant's, to that among 10,000 rows (≤ {result['most_grown']})"
    lines += [f"| asked | by a tenant with {large}, the better of two, ms | target | met | {among_few} |"]
    lines += ["|---|---|---|---|---|"]
    for name, took in result["ms"].items():
        most = result["most_ms"].get(name)
        judged = f"≤ {most} | {'yes' if took['large'] <= most else 'no'}" if most else " | "
        lines.append(f"| {name} | {took['large']:.2f} | {judged} | {result['grown'][name]:.2f} |")
    lines += [
        "",
        "Writes of the large tenant, as multiples of those without the roll-up and without the indexes of two sorts:",
        "",
    ]
    lines += ["| written | with sort indexes | with sort indexes and roll-up |", "|---|---|---|"]
    for step, one in result["writes"].items():
        with_all, without_rollup = one["with all"], one["without roll-up"]
        without_both = one["without roll-up and sort indexes"]
        lines.append(f"| {step} | {without_rollup / without_both:.1f} | {with_all / without_both:.1f} |")
    return "\n".join([*lines, ""])
