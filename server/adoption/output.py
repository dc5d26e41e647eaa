"""What a run would write into its output folder, compared with the files that are there."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from server.administration.steps import steps_of
from server.adoption.decisions import Decisions
from server.adoption.files import File, files_in, sealed
from server.adoption.migration_text import MigrationSection, files_of
from server.adoption.naming import file_name
from server.catalog.checks import tools_in
from server.catalog.declarations import Table
from server.catalog.loading import read_declarations
from server.errors import SettingsError

Kind = Literal["new", "different", "gone"]


@dataclass(frozen=True, slots=True)
class Change:
    """One file that a run would write or remove; `content` is None when it would be removed."""

    kind: Kind
    path: Path
    content: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Standing:
    """The content of the output folder before a run.

    `written` are the files that are unchanged since `adopt` wrote them, and `kept` the files that a person wrote or
    edited, by path. `declared` are the tables of the kept files, which are used as they are, and `tools` the names of
    all tools in these files.
    """

    folder: Path
    written: Mapping[Path, File]
    kept: Mapping[Path, File]
    declared: Mapping[str, Table]
    tools: frozenset[str]

    @property
    def declarations(self) -> Path:
        """The folder of declarations."""
        return self.folder / "tools"

    @property
    def migrations(self) -> Path:
        """The folder of migrations."""
        return self.folder / "migrations"

    @property
    def is_empty(self) -> bool:
        """Whether no earlier run has written here."""
        return not any(file.state != "of somebody else" for file in (*self.written.values(), *self.kept.values()))


def standing_in(folder: Path) -> Standing:
    """Return the content of a folder; raises CatalogError when a declaration in it has mistakes."""
    if folder.exists() and not folder.is_dir():
        raise SettingsError(f"--output: {folder} is not a folder; name another one")
    files = [*files_in(folder / "tools", ".toml"), *files_in(folder / "migrations", ".sql")]
    written = {file.path: file for file in files if file.state == "as written"}
    kept = {file.path: file for file in files if file.state != "as written"}
    own = read_declarations(path for path in kept if path.suffix == ".toml")
    tables = {table.name: table for one in own for table in one.table}
    return Standing(folder, written, kept, tables, frozenset(name for one in own for name in tools_in(one)))


def tool_changes(standing: Standing, texts: Mapping[str, str], exists: Collection[str]) -> list[Change]:
    """Return the changes of the declarations; `texts` holds the file text by table, `exists` names every relation."""
    changes: list[Change] = []
    expected: set[Path] = set()
    for name, path in _paths(standing.declarations, texts).items():
        expected.add(path)
        if name in standing.declared:
            continue
        if path in standing.kept:
            raise SettingsError(
                f"{path} exists and does not declare {name}; move it away, or choose another --output "
                "(nothing was written)"
            )
        changes += _change(standing, path, sealed(".toml", texts[name]))
    for path, file in standing.written.items():
        if path.suffix == ".toml" and path not in expected and not _tables_in(file) & set(exists):
            changes.append(Change("gone", path, None))
    return changes


def _paths(folder: Path, names: Iterable[str]) -> dict[str, Path]:
    taken: set[str] = set()
    paths: dict[str, Path] = {}
    for name in names:
        schema, _, table = name.partition(".")
        stem = file_name(f"{file_name(schema, ())}.{file_name(table, ())}", taken)
        taken.add(stem.casefold())
        paths[name] = folder / f"{stem}.toml"
    return paths


def migration_changes(
    standing: Standing, sections: Iterable[MigrationSection], decisions: Decisions, applied: Collection[str]
) -> list[Change]:
    """Return the changes of the migrations; files that are already applied, or that a person edited, do not change."""
    files = [file for file in (*standing.written.values(), *standing.kept.values()) if file.path.suffix == ".sql"]
    pending = [file for file in files if file.path.name not in applied]
    edited = {label for file in pending if file.path in standing.kept for label, _ in steps_of(file.text)}
    replaced = {file.path for file in pending if file.path in standing.written}
    number = _highest(file.path for file in files if file.path not in replaced)
    changes: list[Change] = []
    expected: set[Path] = set()
    groups = files_of([one for one in sections if one.label not in edited], decisions)
    for place, (schema, group) in enumerate(groups, number + 1):
        path = standing.migrations / f"{place:04d}_{file_name(schema, ())}.sql"
        expected.add(path)
        text = "\n".join([_introduction(schema, group), *(section.text() for section in group)])
        changes += _change(standing, path, sealed(".sql", text))
    return [*changes, *(Change("gone", path, None) for path in sorted(replaced - expected))]


def _change(standing: Standing, path: Path, content: str) -> list[Change]:
    there = standing.written.get(path)
    if there is not None and there.text == content:
        return []
    return [Change("new" if there is None else "different", path, content)]


def _introduction(schema: str, group: Collection[MigrationSection]) -> str:
    return (
        f"-- Protects {len(group)} relations of the schema {' '.join(schema.split())}. `tenantgate migrate` sends each "
        "step by itself, and tries\n-- again while a table is busy; every step can be repeated. Read it first.\n"
    )


def _highest(paths: Iterable[Path]) -> int:
    numbers = [path.name.partition("_")[0] for path in paths]
    return max((int(number) for number in numbers if number.isascii() and number.isdigit()), default=0)


def _tables_in(file: File) -> set[str]:
    return {table.name for one in read_declarations([file.path]) for table in one.table}
