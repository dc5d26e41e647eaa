"""The prompts: one file each. A module of this package that defines `PROMPT` is in the list."""

from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

from server.protocol.prompt import Prompt


@cache
def all_prompts() -> tuple[Prompt[Any], ...]:
    """Return the prompts in the order of their names."""
    names = sorted(module.name for module in iter_modules(__path__))
    return tuple(import_module(f"{__name__}.{name}").PROMPT for name in names)
