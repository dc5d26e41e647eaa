"""The sections of docs/performance.md that are written from docs/performance.json, and the picture beside them.

A section stands between `<!-- NAME: written by … -->` and `<!-- end of NAME -->`; whatever is outside is kept.
"""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import sections
from peers import picture

FILES: Final = ("performance.md", "performance.json", "performance.svg")
WRITTEN: Final[dict[str, Callable[[dict[str, Any]], str]]] = {
    "peers": sections.peers,
    "workers": sections.workers,
    "memory": sections.memory,
    "growth": sections.growth,
}


def write(docs: Path, name: str, result: dict[str, Any]) -> None:
    """Keep `result` in the JSON file and write its section and the picture anew."""
    page, data, drawing = (docs / file for file in FILES)
    known = json.loads(data.read_text()) if data.exists() else {}
    known[name] = result
    data.write_text(json.dumps(known, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    page.write_text(rewritten(page.read_text(encoding="utf-8"), known), encoding="utf-8")
    if "peers" in known:
        drawing.write_text(picture.drawn(known["peers"]), encoding="utf-8")


def rewritten(text: str, known: dict[str, Any]) -> str:
    """Return the page with each section that the JSON has; ValueError when the page has no place for one."""
    for name, section in WRITTEN.items():
        if name in known:
            first, last = (
                f'<!-- {name}: written by make bench ARGS="{name} --write-docs" -->',
                f"<!-- end of {name} -->",
            )
            found = re.search(f"{re.escape(first)}\n.*?{re.escape(last)}", text, re.DOTALL)
            if found is None:
                raise ValueError(f"the page has no section between {first} and {last}")
            text = text[: found.start()] + f"{first}\n{section(known[name])}\n{last}" + text[found.end() :]
    return text
