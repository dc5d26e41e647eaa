"""`make bench`: what a call costs; `ARGS`: `children` (no tenant column), `startup`, `flood`, `fairness`,
`peers` (other servers), `workers`, `memory`, `growth` (one large tenant)."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from dataset import folder
from rich.console import Console
from run import ROOT

_ROUND_S = 1.2
_FLOOD_S = 30.0
_PEERS_S = 3.0


def main() -> int:
    """Measure, print, write JSON; 1 when a target is missed."""
    arguments = argparse.ArgumentParser(description=__doc__)
    measures = {
        "calls": _calls,
        "children": _children,
        "startup": _startup,
        "flood": _flood,
        "fairness": _fairness,
        "telemetry": _telemetry,
        "peers": _peers,
        "workers": _workers,
        "memory": _memory,
        "growth": _growth,
    }
    arguments.add_argument("what", nargs="?", choices=measures, default="calls")
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--seconds", type=float, help="of each candidate in each round: 1.2, or 3; of a flood: 30")
    arguments.add_argument("--folder", type=Path, default=folder(ROOT), help="where the databases are kept")
    arguments.add_argument("--against", type=Path, help="another checkout to measure in the same rounds (calls, peers)")
    arguments.add_argument("--calls", type=int, default=200_000, help="how many calls memory is watched over (memory)")
    arguments.add_argument(
        "--write-docs", action="store_true", help="write docs/performance.* anew (peers, workers, memory)"
    )
    arguments.add_argument("--full", action="store_true", help="growth with ten million rows in place of two")
    wanted = arguments.parse_args()
    wanted.folder.mkdir(parents=True, exist_ok=True, mode=0o711)
    console = Console(width=120)
    result, met = measures[wanted.what](wanted, Console(stderr=True, highlight=False).print, console)
    file = ROOT / ".tenantgate" / ("bench.json" if wanted.what == "calls" else f"bench-{wanted.what}.json")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(result, indent=2))
    console.print(f"\nwritten to {file.relative_to(ROOT)}")
    if wanted.write_docs:
        from written import WRITTEN, write

        if wanted.what not in WRITTEN:
            arguments.error(f"--write-docs is for {', '.join(WRITTEN)}")
        write(ROOT / "docs", wanted.what, result)
        console.print("docs/performance.md is written")
    return 0 if met else 1


# The modules are loaded when they are asked for: a start-up is measured on a machine that does nothing else.
def _calls(wanted: argparse.Namespace, say: Any, console: Console) -> tuple[dict[str, Any], bool]:
    from documents import measured_documents
    from report import is_met, show
    from run import measured

    result = measured(wanted.folder, say, wanted.rounds, wanted.seconds or _ROUND_S, wanted.against)
    result["documents"] = measured_documents(wanted.folder, say, rounds=min(3, wanted.rounds))
    show(result, console)
    return result, is_met(result)


def _children(wanted: argparse.Namespace, say: Any, console: Console) -> tuple[dict[str, Any], bool]:
    from children import is_met, measured, show

    result = measured(wanted.folder, say, wanted.rounds, wanted.seconds or _ROUND_S)
    show(result, console)
    return result, is_met(result)


def _startup(wanted: argparse.Namespace, say: Any, console: Console) -> tuple[dict[str, Any], bool]:
    from startup import is_met, measured, show

    result = measured(wanted.folder, say, wanted.rounds)
    show(result, console)
    return result, is_met(result)


def _flood(wanted: argparse.Namespace, say: Any, console: Console) -> tuple[dict[str, Any], bool]:
    from flood import is_met, measured, show

    result = measured(wanted.folder, say, wanted.seconds or _FLOOD_S)
    show(result, console)
    return result, is_met(result)


def _fairness(wanted: argparse.Namespace, say: Any, console: Console) -> tuple[dict[str, Any], bool]:
    from fairness import is_met, measured, show

    result = measured(wanted.folder, say, wanted.rounds, wanted.seconds or _ROUND_S)
    show(result, console)
    return result, is_met(result)


def _telemetry(wanted: argparse.Namespace, say: Any, console: Console) -> tuple[dict[str, Any], bool]:
    from telemetry import is_met, measured, show

    result = measured(wanted.folder, say, wanted.rounds, wanted.seconds or _ROUND_S)
    show(result, console)
    return result, is_met(result)


def _peers(wanted: argparse.Namespace, say: Any, console: Console) -> tuple[dict[str, Any], bool]:
    from peers.measurement import measured
    from peers.picture import drawn
    from peers.report import is_met, show

    result = measured(wanted.folder, say, wanted.rounds, wanted.seconds or _PEERS_S, wanted.against)
    show(result, console)
    (ROOT / ".tenantgate" / "bench-peers.svg").write_text(drawn(result), encoding="utf-8")
    return result, is_met(result)


def _workers(wanted: argparse.Namespace, say: Any, console: Console) -> tuple[dict[str, Any], bool]:
    from workers import is_met, measured, show

    result = measured(wanted.folder, say, wanted.rounds, wanted.seconds or _PEERS_S)
    show(result, console)
    return result, is_met(result)


def _memory(wanted: argparse.Namespace, say: Any, console: Console) -> tuple[dict[str, Any], bool]:
    from memory import is_met, measured, show

    result = measured(wanted.folder, say, wanted.rounds, wanted.calls)
    show(result, console)
    return result, is_met(result)


def _growth(wanted: argparse.Namespace, say: Any, console: Console) -> tuple[dict[str, Any], bool]:
    from growth import is_met, measured, show

    result = measured(wanted.folder, say, wanted.rounds, full=wanted.full)
    show(result, console)
    return result, is_met(result)


if __name__ == "__main__":
    sys.exit(main())
