"""The page of a summary tool in a real browser, in a host page that plays a client with the MCP Apps extension."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

HOST = Path(__file__).with_name("mcp_app_host.html")
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")

# The shape of the sample pack's summary: one measured column, one range of days.
ONE_COLUMN: dict[str, Any] = {
    "groups": [
        {"key": "approved", "count": 1, "total_amount": "1275.25", "average_amount": "1275.25"},
        {"key": "open", "count": 1200, "total_amount": "2400.00", "average_amount": "2.00"},
    ],
    "more_groups": False,
    "total": {"count": 1201, "total_amount": "3675.25", "average_amount": "3.06"},
    "as_of": "2026-07-08",
    "filed_from": "2026-06-29",
    "filed_to": "2026-07-05",
}
# Of a table without measures and dates, only the rows are counted.
COUNTS: dict[str, Any] = {
    "groups": [{"key": "eu", "count": 3}, {"key": "us", "count": 1}],
    "more_groups": True,
    "total": {"count": 9},
    "as_of": "2026-07-08",
}
_NONE = {"total_balance": "0", "smallest_balance": None, "total_parts": 0}
# Several measured columns and ranges, and every value that is hard to show.
HARD: dict[str, Any] = {
    "groups": [
        {"key": "constructor", "count": 2, "total_balance": "-50.5", "smallest_balance": "-Infinity", "total_parts": 7},
        {"key": "", "count": 1, **_NONE, "total_balance": "100", "smallest_balance": "0"},
        {"key": "x" * 300, "count": 1, **_NONE, "total_balance": "NaN"},
        {"key": None, "count": 1, **_NONE, "total_parts": 9007199254740993},
        {"key": "huge", "count": 1, **_NONE, "total_balance": "-" + "9" * 400 + ".125"},
    ],
    "more_groups": False,
    "total": {"count": 6, "total_balance": "NaN", "smallest_balance": "-Infinity", "total_parts": 9007199254741000},
    "as_of": "2026-07-08",
    "placed_from": "2026-01-01",
    "placed_to": None,
    "due_date_from": "2026-02-03",
    "due_date_to": "2026-02-03",
    "paid_from": None,
    "paid_to": "2026-03-31",
    "sent_back_from": None,
    "sent_back_to": None,
}


def result_of(summary: dict[str, Any]) -> dict[str, Any]:
    """Return the result of a call as the server sends it."""
    return {"content": [{"type": "text", "text": json.dumps(summary)}], "structuredContent": summary, "isError": False}


def shown(page: str, result: dict[str, Any], folder: Path, **given: Any) -> dict[str, Any]:
    """Show a result; return what the host sees.

    `given` may hold `arguments` of the call, `context` of the host, the `measure` to choose, and a `later` context.
    """
    sent = {"arguments": {"group_by": "status"}, "context": {"locale": "en-US"}} | given
    host = folder / "host.html"
    # `<` is escaped, so that the page's own tags cannot end the script of the host's.
    data = json.dumps(sent | {"page": page, "result": result}).replace("<", "\\u003c")
    host.write_text(HOST.read_text(encoding="utf-8").replace("GIVEN", data), encoding="utf-8")
    command = [str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'profile'}"]
    seen = subprocess.run(
        [*command, "--virtual-time-budget=5000", "--window-size=640,520", "--dump-dom", host.as_uri()],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    ).stdout
    found = re.search(r'<script type="application/json" id="seen">(.*?)</script>', seen, re.DOTALL)
    assert found is not None, seen
    return json.loads(found[1])
