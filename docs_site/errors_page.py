"""The tables of docs/errors.md that come from the code; `make errors-page` updates them.

They stand between two comments. The rows of the other tables are written by hand, and a test compares them with the
code: every sentence has a row, and every row is a sentence of the code.
"""

import ast
import re
from collections.abc import Iterator
from typing import Final

from errors_code import declared_texts, files, findings, operator_errors
from source_texts import ROOT, Source

PAGE: Final = ROOT / "docs" / "errors.md"
_GENERATED: Final = re.compile(r"(<!-- generated: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
_ROW: Final = re.compile(r"^\| (.+?) \|", re.MULTILINE)
_NAME: Final = re.compile(r"[a-z_]+")
_HEADS: Final = frozenset({"sentence", "event", "reason"})
_CATALOG: Final = (
    *(f"server/catalog/{name}.py" for name in ("checks", "columns", "comparison", "declarations", "loading")),
    *(f"server/catalog/{name}.py" for name in ("mistakes", "policy_problems", "rollups", "sql_text", "texts")),
)
_SETTINGS: Final = ("server/configuration.py", "server/secret_files.py", "server/setting_names.py")
_DEMO: Final = frozenset({"AgentError", "DemoError", "InvalidError", "ServerError", "TokenError", "TokenMissingError"})
_IN_ITSELF: Final = "as the message says"
_DECISIONS: Final = frozenset({"Refused", "Undecided"})
_GROUPS: Final = {
    "settings": (*_SETTINGS, "server/aws_secrets.py", "server/telemetry/*.py", "server/tenancy/*.py"),
    "start": ("server/app.py", "server/auth/*.py", "server/doctor/*.py", "server/http/*.py", "server/workers/*.py"),
    "database": (
        "server/administration/*.py",
        "server/database/*.py",
        "server/cli/keys.py",
        "server/cli/tenants.py",
        "server/cli/tools.py",
    ),
    "catalog": ("server/catalog/*.py", "server/catalog/protection/*.py"),
    "adoption": ("server/adoption/*.py", "server/cli/adopt.py", "server/cli/init.py"),
    "audit": (
        "server/audit/*.py",
        *(f"server/cli/{name}.py" for name in ("audit", "database_log", "records", "trail_options")),
    ),
    "documents": ("server/documents/**/*.py", "server/cli/documents.py"),
    "development": ("server/dev/**/*.py", "server/cli/development.py"),
}


def written(text: str) -> str:
    """Return the page with its generated tables made again."""
    return _GENERATED.sub(lambda block: f"{block[1]}\n{_table(block[2])}\n{block[3]}", text)


def rows(text: str, heading: str) -> list[str]:
    """Return the first cells of the tables below a heading, as plain text."""
    section = text.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    cells = (found[1] for found in _ROW.finditer(section))
    return [re.sub(r"\\([|<>*_])", r"\1", one) for one in cells if one not in _HEADS and not one.startswith("--")]


def messages(group: str) -> dict[str, str]:
    """Return each problem that a group of commands can report, with its remedy ("" for none after a semicolon)."""
    said = list(operator_errors(*_GROUPS.get(group, ())))
    if group == "settings":
        said += operator_errors("server/settings/*.py", errors=frozenset({"ValueError"}))
    if group == "catalog":
        said += declared_texts(*_CATALOG)
    if group == "adoption":
        said += operator_errors("server/adoption/*.py", errors=_DECISIONS)
    if group == "demo":
        said += operator_errors("client_demo/*.py", "client_demo/attempts/*.py", errors=_DEMO)
    parts = (text.rpartition("; ") for text, _ in said if re.search("[a-z]{3}.* ", text))
    return dict(sorted((problem or rest, rest if problem else "") for problem, _, rest in parts))


def checks() -> Iterator[tuple[str, str]]:
    """Yield the name and the promise of every check of the doctor."""
    for path in sorted((ROOT / "sql" / "checks").glob("0*.sql")):
        comment = re.match(r"(?:-- .*\n)+", path.read_text())
        yield path.stem, " ".join(comment[0].replace("-- ", "").split()) if comment else ""
    for file in files("server/doctor/*.py"):
        for node in ast.walk(Source(file).tree):
            parts = node.elts if isinstance(node, ast.Tuple) else node.args if isinstance(node, ast.Call) else []
            match [part.value if isinstance(part, ast.Constant) else None for part in parts[:2]]:
                case [str(name), str(promise)] if _NAME.fullmatch(name) and promise.endswith("."):
                    yield name, promise
                case _:
                    pass


def _table(name: str) -> str:
    match name:
        case "checks":
            return _lines("check | what must hold", {f"`{check}`": promise for check, promise in checks()})
        case "findings":
            return _lines("finding | remedy", dict(sorted(findings())))
        case _:
            return _lines(
                "what is wrong | what to do", {one: remedy or _IN_ITSELF for one, remedy in messages(name).items()}
            )


def _lines(head: str, cells: dict[str, str]) -> str:
    body = "".join(f"| {_cell(first)} | {_cell(second)} |\n" for first, second in cells.items())
    return f"| {head} |\n|---|---|\n{body}"


def _cell(text: str) -> str:
    """Return a text as a cell: outside of code, what Markdown would read is escaped."""
    parts = " ".join(text.split()).split("`")
    return "`".join(re.sub(r"([|<>*_])", r"\\\1", part) if place % 2 == 0 else part for place, part in enumerate(parts))


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text()))
