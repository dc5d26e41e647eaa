"""Resident megabytes that each package adds while the server is imported, without what it imports itself.

`python import_memory.py [MODULE]` prints them as JSON, the dearest first, after `all`.
"""

import builtins
import importlib
import json
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

_PAGE_MB = 4096 / 1e6
_SHOWN = 25
_stack: list[float] = []
_spent: defaultdict[str, float] = defaultdict(float)
_import = builtins.__import__


def resident_mb() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE_MB


def counting(name: str, names: Any = None, places: Any = None, wanted: Any = (), level: int = 0) -> Any:
    """Import as usual; what a nested import takes is its own."""
    package = (names["__package__"] if level else name).partition(".")[0]
    before = resident_mb()
    _stack.append(0.0)
    try:
        return _import(name, names, places, wanted, level)
    finally:
        grown = resident_mb() - before
        _spent[package] += grown - _stack.pop()
        if _stack:
            _stack[-1] += grown


if __name__ == "__main__":
    began = resident_mb()
    builtins.__import__ = counting
    importlib.import_module("server.__main__")
    for module in sys.argv[1:] or ("server.cli.serving", "server.app", "server.http.serving"):
        counting(module)
    whole = resident_mb()
    ordered = sorted(_spent.items(), key=lambda one: -one[1])[:_SHOWN]
    print(
        json.dumps({"interpreter": round(began, 1), "all": round(whole, 1), **{n: round(mb, 2) for n, mb in ordered}})
    )
