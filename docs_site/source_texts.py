"""The texts in one file of the code: constants, and f-strings with … where they put a value."""

import ast
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from functools import cache
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
# Calls whose texts are not messages.
_NO_MESSAGES: Final = frozenset({"Field", "SQL", "Metric", "say", "short_step", "long_step"})


@cache
class Source:
    """One file of the code and the texts in it."""

    def __init__(self, file: str) -> None:
        self.tree: Final = ast.parse((ROOT / file).read_text())
        self._values: Final = self._assigned()
        self._imported: Final = dict(self._imports())

    def calls(self, names: AbstractSet[str]) -> Iterator[ast.Call]:
        """Yield the calls of functions with one of these names."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Call) and _name(node) in names:
                yield node

    def said(self, node: ast.expr) -> Iterator[str]:
        """Yield the texts that an expression can have; names are looked up in this file."""
        match node:
            case ast.Constant(value=str(text)):
                yield text.replace("{}", "…")
            case ast.JoinedStr():
                yield self._joined(node)
            case ast.Name(id=name) if name in self._imported:
                yield from Source(self._imported[name]).said(node)
            case ast.Name(id=name):
                yield from (one for value in self._values.get(name, ()) for one in self.said(value))
            case ast.IfExp():
                yield from (one for part in (node.body, node.orelse) for one in self.said(part))
            case ast.BoolOp():
                yield from (one for part in node.values for one in self.said(part))
            case _:
                pass

    def texts(self, besides: AbstractSet[str] = frozenset()) -> Iterator[str]:
        """Yield every text of the file that is neither a docstring nor inside a call of one of `besides`."""
        apart = {id(node.value) for node in ast.walk(self.tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(self.tree):
            if isinstance(node, ast.JoinedStr) or (
                isinstance(node, ast.Call) and _name(node) in _NO_MESSAGES | besides
            ):
                apart |= {id(inner) for inner in ast.walk(node) if inner is not node}
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Constant | ast.JoinedStr) and id(node) not in apart:
                yield from self.said(node)

    def _imports(self) -> Iterator[tuple[str, str]]:
        """Yield each constant that comes from another file, and that file."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.ImportFrom) and (file := f"{(node.module or '').replace('.', '/')}.py"):
                yield from ((one.name, file) for one in node.names if one.name.isupper() and (ROOT / file).is_file())

    def _assigned(self) -> dict[str, list[ast.expr]]:
        found: dict[str, list[ast.expr]] = {}
        for node in ast.walk(self.tree):
            targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
            value = node.value if isinstance(node, ast.Assign | ast.AnnAssign) else None
            for target in targets:
                if isinstance(target, ast.Name) and value is not None:
                    found.setdefault(target.id, []).append(value)
        return found

    def _joined(self, text: ast.JoinedStr) -> str:
        """Return the text with … where it puts a value; constants of the file stand as they are."""
        parts: list[str] = []
        for part in text.values:
            if isinstance(part, ast.Constant):
                parts.append(str(part.value))
                continue
            value = part.value if isinstance(part, ast.FormattedValue) else None
            known = list(self.said(value)) if isinstance(value, ast.Name) and value.id.startswith("_") else []
            parts.append(known[0] if len(known) == 1 else "…")
        return "".join(parts)


def _name(call: ast.Call) -> str:
    """Return the last name of the function that is called."""
    return call.func.attr if isinstance(call.func, ast.Attribute) else ast.unparse(call.func)
