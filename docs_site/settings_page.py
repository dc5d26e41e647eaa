"""The tables of docs/settings.md: keys, types, defaults, variables and meanings come from the code.

`make settings-page` updates the page. A setting's meaning is the text below it in its class. What it means that a
setting has no default may be explained on the page.
"""

import ast
import inspect
import json
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, cast

from pydantic.fields import FieldInfo

from server.setting_names import DELIMITER
from server.settings import PREFIX, Settings

PAGE: Final = Path(__file__).resolve().parent.parent / "docs" / "settings.md"
_HEADING: Final = re.compile(r"^## (?:`\[+([a-z_.]+)\]+`|At the top of the file)")
_CELLS: Final = re.compile(r"(?<!\\)\|")
_HEAD: Final = "| key | type | default | variable | meaning |\n|---|---|---|---|---|"
_HEAD_OF_A_LIST: Final = "| key | type | default | meaning |\n|---|---|---|---|"
_REQUIRED: Final = "required"
_NETWORKS: Final = frozenset({"ipv4network", "ipv6network"})


@dataclass(frozen=True, slots=True)
class Section:
    """One table: its name (empty at the top), its class, whether it is a list of tables, and each setting's schema."""

    name: str
    model: type[Any]
    is_list: bool
    fields: Mapping[str, tuple[FieldInfo, dict[str, Any]]]


def sections() -> Iterator[Section]:
    """Yield the sections of the settings, in the code's order."""
    schema: dict[str, Any] = Settings.model_json_schema()
    definitions: dict[str, Any] = schema.get("$defs", {})
    top: dict[str, tuple[FieldInfo, dict[str, Any]]] = {}
    below: list[Section] = []
    for name, field in Settings.model_fields.items():
        entry: dict[str, Any] = schema["properties"][name]
        found = re.search(r"#/\$defs/(\w+)", json.dumps(entry))
        definition: dict[str, Any] = definitions.get(found[1], {}) if found else {}
        if "properties" not in definition:
            top[name] = (field, entry)
            continue
        model = next(one for one in _models(field.annotation) if one.__name__ == definition["title"])
        fields = {key: (model.model_fields[key], value) for key, value in definition["properties"].items()}
        below.append(Section(name, model, entry.get("type") == "array", fields))
    yield Section("", Settings, is_list=False, fields=top)
    yield from below


def written(text: str) -> str:
    """Return the page with each table generated again; settings that the code does not have are left out."""
    blocks = re.split(r"(?m)^(?=## )", text)
    known = {section.name: section for section in sections()}
    for place, block in enumerate(blocks):
        heading = _HEADING.match(block)
        if heading and (section := known.pop(heading[1] or "", None)):
            blocks[place] = _with_table(block, section)
    blocks += [f"\n## `[{name}]`\n\n{_table(section, {})}\n" for name, section in known.items()]
    return "".join(blocks)


def meanings(model: type[Any]) -> dict[str, str]:
    """Return the text below each setting of a class, on one line."""
    body = cast("ast.ClassDef", ast.parse(inspect.getsource(model)).body[0]).body
    found: dict[str, str] = {}
    for setting, below in pairwise(body):
        match setting, below:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                found[name] = " ".join(text.split()).replace("|", "\\|")
            case _:
                pass
    return found


def without_meaning(text: str) -> list[str]:
    """Return the settings whose meaning is empty."""
    return re.findall(r"(?m)^\| `(\w+)` \|(?:[^|\n]*\|)+ *\|$", text)


def _with_table(block: str, section: Section) -> str:
    table = re.search(r"(?m)^\| key \|.*\n(?:\|.*\n?)+", block)
    if table is None:
        return f"{block.rstrip()}\n\n{_table(section, {})}\n\n"
    rows: dict[str, str] = {}
    head = [cell.strip() for cell in table[0].split("\n", 1)[0].split("|")[1:-1]]
    for line in table[0].splitlines()[2:]:
        cells = dict(zip(head, (cell.strip() for cell in _CELLS.split(line)[1:-1]), strict=False))
        rows[cells["key"].strip("`")] = cells["default"]
    return block[: table.start()] + _table(section, rows) + "\n" + block[table.end() :]


def _table(section: Section, rows: Mapping[str, str]) -> str:
    meaning = meanings(section.model)
    order = [key for key in rows if key in section.fields]
    order += [key for key in section.fields if key not in rows]
    lines = [_HEAD_OF_A_LIST if section.is_list else _HEAD]
    for key in order:
        field, schema = section.fields[key]
        path = DELIMITER.join(part for part in (section.name, key) if part).upper()
        cells = [f"`{key}`", _type(schema), _default(field, schema, rows.get(key, ""))]
        lines.append(
            "| "
            + " | ".join([*cells, *([] if section.is_list else [f"`{PREFIX}{path}`"]), meaning.get(key, "")])
            + " |"
        )
    return "\n".join(lines)


def _default(field: FieldInfo, schema: Mapping[str, Any], said: str) -> str:
    """Return the default; where the code has none or an empty one, the page may explain what that means."""
    if field.is_required():
        return _REQUIRED
    value = schema.get("default")
    if value in (None, "", [], {}):
        return "none" if not said or said.startswith("`") else said
    return f"`{value if isinstance(value, str) else json.dumps(value)}`"


def _type(schema: Mapping[str, Any]) -> str:  # noqa: PLR0911  # one line for each kind
    if "anyOf" in schema:
        kinds = [_type(one) for one in schema["anyOf"] if one.get("type") != "null" and one.get("const") != ""]
        return " or ".join(dict.fromkeys(kinds))
    if "enum" in schema:
        *others, last = (f"`{one}`" for one in schema["enum"])
        return f"{', '.join(others)} or {last}"
    match schema.get("type"):
        case "boolean":
            return "`true` or `false`"
        case "integer":
            return f"whole number{_bounds(schema)}"
        case "array":
            return f"list of {_plural(_type(schema.get('items', {})))}"
        case "object":
            return "table"
        case _:
            formats = {"password": "secret", "path": "path", **dict.fromkeys(_NETWORKS, "network")}
            return formats.get(str(schema.get("format", "")), "text")


def _plural(kind: str) -> str:
    return f"{kind}s" if kind.isalpha() else kind


def _bounds(schema: Mapping[str, Any]) -> str:
    least, most = schema.get("minimum"), schema.get("maximum")
    if most is not None:
        return f", {least} to {most}"
    return f" from {least} on" if least is not None else ""


def _models(annotation: Any) -> Iterator[Any]:
    if hasattr(annotation, "model_fields"):
        yield annotation
    for one in getattr(annotation, "__args__", ()):
        yield from _models(one)


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    for name in without_meaning(PAGE.read_text(encoding="utf-8")):
        print(f"write below `{name}` in server/settings what it means", file=sys.stderr)
