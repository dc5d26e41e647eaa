"""`make faults`: what a server does while its parts are killed, paused, cut and throttled; 1 when that is wrong."""

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:1] = [str(ROOT / "tests"), str(ROOT)]


def main() -> int:
    """Run, print, write JSON."""
    from faults.report import show
    from faults.rows import GROUPS
    from faults.run import run
    from faults.site import site
    from rich.console import Console

    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("groups", nargs="*", choices=[[], *GROUPS], help="of faults; all where none is named")
    arguments.add_argument("--seconds", type=float, default=60.0, help="for which faults last, together: 60")
    arguments.add_argument("--json", action="store_true", help="print JSON in place of the table")
    wanted = arguments.parse_args()
    kept = ROOT / ".tenantgate"
    kept.mkdir(exist_ok=True)
    with site() as made:
        try:
            rows = run(made, wanted.groups or GROUPS, wanted.seconds, Console(stderr=True, highlight=False).print)
        finally:
            (kept / "faults.log").write_bytes((made.server.folder / "log").read_bytes())
    (kept / "faults.json").write_text(json.dumps([asdict(row) for row in rows], indent=2))
    if wanted.json:
        print(json.dumps([asdict(row) for row in rows], indent=2))
    else:
        show(rows, Console(width=None if sys.stdout.isatty() else 120))
    return 1 if any(row.problems for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
