"""The tools: one file each. A module of this package that defines `TOOL` is in the list; nothing else registers it."""

from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

from server.catalog.tool import Tool


@cache
def all_tools() -> tuple[Tool[Any, Any], ...]:
    """Return the tools in the order of their names; modules with a leading underscore are shared parts."""
    names = sorted(module.name for module in iter_modules(__path__) if not module.name.startswith("_"))
    return tuple(import_module(f"{__name__}.{name}").TOOL for name in names)
