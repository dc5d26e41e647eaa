"""Read the catalog's files and report all mistakes at once, each as one line with file, key and remedy."""

import ast
import importlib.util
import re
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, Final, cast

from pydantic import ValidationError

from server.catalog.checks import names_a_tenant, problems_of, tools_in
from server.catalog.declarations import TOOL_NAME, CatalogFile, Prompt, Search, SqlTool, Table
from server.catalog.mistakes import mistakes_of, without_mistakes
from server.catalog.rollups import with_rollups
from server.catalog.tool import CodeTool
from server.errors import CatalogError
from server.settings import SAMPLE, SCOPE


@dataclass(frozen=True, slots=True)
class Instructions:
    """What a model should know when one of `tools` is offered."""

    text: str
    tools: frozenset[str]


@dataclass(frozen=True, slots=True)
class Catalog:
    """Everything that is declared; `tables` also contains the roll-ups."""

    tables: Mapping[str, Table]
    sql_tools: tuple[SqlTool, ...] = ()
    searches: tuple[Search, ...] = ()
    prompts: tuple[Prompt, ...] = ()
    code_tools: tuple[CodeTool[Any, Any], ...] = ()
    instructions: tuple[Instructions, ...] = ()

    @property
    def scopes(self) -> tuple[str, ...]:
        """The scopes that the tools require, sorted."""
        tools = (*self.tables.values(), *self.sql_tools, *self.searches, *self.code_tools)
        return tuple(sorted({tool.scope for tool in tools if tool.scope}))


def load_catalog(paths: Sequence[str]) -> Catalog:
    """Read the files and folders that the setting `catalog` names; raises CatalogError with every mistake."""
    problems: list[str] = []
    declared: list[tuple[str, CatalogFile]] = []
    code: list[CodeTool[Any, Any]] = []
    code_files: dict[str, list[str]] = {}
    for file in _files(paths, problems):
        shown = _short(file)
        if file.suffix == ".toml":
            read = _declarations(file, problems)
            if read is not None:
                declared.append((shown, read))
        else:
            for tool in _code_tool(file, problems):
                code.append(tool)
                code_files.setdefault(tool.name, []).append(shown)
    problems += list(problems_of(declared, code_files, complete=not problems))
    if problems:
        raise CatalogError(problems)
    return Catalog(
        tables=with_rollups({table.name: table for _, one in declared for table in one.table}),
        sql_tools=tuple(tool for _, one in declared for tool in one.tool),
        searches=tuple(search for _, one in declared for search in one.search),
        prompts=tuple(sorted((prompt for _, one in declared for prompt in one.prompt), key=lambda prompt: prompt.name)),
        code_tools=tuple(code),
        instructions=tuple(
            Instructions(one.instructions, frozenset(tools_in(one))) for _, one in declared if one.instructions
        ),
    )


def read_declarations(files_: Iterable[Path]) -> list[CatalogFile]:
    """Return what each file declares, without checks across files; raises CatalogError with every mistake."""
    problems: list[str] = []
    declared = [_declarations(file, problems) for file in files_]
    if problems:
        raise CatalogError(problems)
    return [one for one in declared if one is not None]


def _files(paths: Iterable[str], problems: list[str]) -> Iterator[Path]:
    """Yield each file of the catalog once; the files of a folder are sorted by name."""
    seen: set[Path] = set()
    for path in paths:
        place = sample_folder() if path == SAMPLE else Path(path)
        if place.is_dir():
            found = sorted(one for one in place.iterdir() if one.suffix in {".toml", ".py"} and one.name[0] not in "._")
        elif place.is_file() and place.suffix in {".toml", ".py"}:
            found = [place]
        else:
            # The sample may have been deleted; then nothing of it is served.
            if path != SAMPLE:
                problems.append(f"catalog: {path} is not a folder, a .toml file or a .py file; correct its path")
            found = []
        yield from (one for one in found if one.resolve() not in seen)
        seen.update(one.resolve() for one in found)


def sample_folder() -> Path:
    """Return the folder of the sample pack, in a clone or a wheel; it may not exist."""
    return Path(str(files("server"))).parent / "tools"


def _other_imports(file: Path) -> list[str]:
    """Return the imports of this program's modules that a tool may not use; none for a file that is not Python."""
    try:
        nodes = list(ast.walk(ast.parse(file.read_text(encoding="utf-8"))))
    except (SyntaxError, OSError, ValueError):
        return []
    names = [one.name for node in nodes if isinstance(node, ast.Import) for one in node.names]
    names += [node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module]
    return [name for name in names if name.partition(".")[0] in {"server", "sql"} and name not in _IMPORTABLE]


def _short(file: Path) -> str:
    return f"{file.parent.name}/{file.name}"


def _declarations(file: Path, problems: list[str]) -> CatalogFile | None:
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
        return CatalogFile.model_validate(content)
    except tomllib.TOMLDecodeError as error:
        problems.append(f"{_short(file)}: is not valid TOML: {error}; correct it")
    except (OSError, UnicodeDecodeError) as error:
        problems.append(f"{_short(file)}: cannot be read ({error}); correct the file or its rights")
    except ValidationError as error:
        raw = cast("dict[str, Any]", content)  # pyright: ignore[reportPossiblyUnboundVariable]
        problems += [f"{_short(file)}: {mistake}" for mistake in mistakes_of(raw, error)]
        with suppress(ValidationError):
            return CatalogFile.model_validate(without_mistakes(raw, error))
    return None


# The modules of this program that a tool in code may import; it receives everything else through its handle.
_IMPORTABLE: Final = frozenset({"server.catalog.tool", "server.database.statement", "server.errors"})


def _code_tool(file: Path, problems: list[str]) -> list[CodeTool[Any, Any]]:
    """Run a Python file of the operator and return its TOOL."""
    if foreign := _other_imports(file):
        allowed = ", ".join(sorted(_IMPORTABLE))
        problems.append(
            f"{_short(file)}: imports {foreign[0]}; of this program's modules a tool may import only {allowed}"
        )
        return []
    specification = importlib.util.spec_from_file_location(f"tenantgate_catalog_{file.stem}", file)
    try:
        module = importlib.util.module_from_spec(cast("Any", specification))
        # Python looks up annotations here when they are texts (from __future__ import annotations).
        sys.modules[module.__name__] = module
        cast("Any", specification).loader.exec_module(module)
        tool: Any = getattr(module, "TOOL", None)
        if isinstance(tool, CodeTool):
            return [_checked(cast("CodeTool[Any, Any]", tool))]
    except (Exception, SystemExit) as error:  # noqa: BLE001  # any error of the operator's code is a mistake in that file
        problems.append(f"{_short(file)}: does not run: {type(error).__name__}: {' '.join(str(error).split())}")
        return []
    problems.append(
        f"{_short(file)}: does not define TOOL; assign a server.catalog.tool.CodeTool to it, or move the file away"
    )
    return []


def _checked(tool: CodeTool[Any, Any]) -> CodeTool[Any, Any]:
    """Return the tool; raise ValueError for a name, scope or argument that a declared tool could not have."""
    if not re.fullmatch(TOOL_NAME, tool.name):
        raise ValueError(f"the name {tool.name!r} does not have the form {TOOL_NAME}; rename the tool")
    if tool.scope is not None and not re.fullmatch(SCOPE, tool.scope):
        raise ValueError(f"the scope {tool.scope!r} must be one word without blanks, quotes and backslashes; rename it")
    properties = cast("dict[str, Any]", tool.described.input_schema.get("properties", {}))
    if named := next(filter(names_a_tenant, properties), None):
        raise ValueError(f"no argument may name a tenant, and {named} does; the database adds it")
    return tool
