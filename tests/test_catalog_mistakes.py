"""Mistakes in the catalog: each becomes one line that names file, entry, key, what is wrong and the remedy."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
from support.catalog_mistakes import MISTAKES, TYPES, table

from server.catalog.loading import load_catalog
from server.errors import CatalogError

ROOT = Path(__file__).parents[1]
CLEAN = {name: value for name, value in os.environ.items() if not name.startswith("TENANTGATE_")}
TEN = """
[[table]]
name = "shop.orders"
tenant = "account_id"
scope = "orders:read"
[table.columns]
placed = { type = "timestamptz" }
price = { type = "decimal", measure = ["total"] }

[[table]]
name = "shop.products"
tenant = { through = "order_id" }
[table.columns]
title = { type = "text" }

[[table]]
name = "shop.stock"
tenant = "account_id"
shared = true
scope = "orders:read"
timezone = "Berlin"
list = { tool = "query_stock", sort = "counted_on" }
[table.columns]
counted_on = { type = "date", filter = "range" }

[[tool]]
name = "best_customers"
description = "Best customers."
scope = "orders:read"
sql = "SELECT customer FROM shop.orders WHERE placed >= :since"
columns.customer = { type = "text" }

[[tool]]
name = "query_stock"
description = "Removes what is old."
scope = "orders:read"
sql = "DELETE FROM shop.stock"
columns.customer = { type = "text" }
"""
SAID = f"""
catalog/ten.toml: table shop.orders: columns.placed.type: must be one of {TYPES}; correct it
catalog/ten.toml: table shop.orders: columns.price.measure: is not a key of the catalog; correct its name or remove it
catalog/ten.toml: table shop.products: scope: is missing; add it
catalog/ten.toml: table shop.products: tenant.parent: is missing; add it
catalog/ten.toml: table shop.stock: must have either tenant or shared; write tenant = "its column", or shared = true \
for rows of every tenant
catalog/ten.toml: table shop.stock: list.sort: counted_on is not a column with sort = true; set that, or sort by \
another column
catalog/ten.toml: table shop.stock: timezone: Berlin is not known; write one such as Europe/Berlin or UTC
catalog/ten.toml: tool best_customers: sql: :since is not declared; add it under parameters, or, for a slice, put \
a blank after the colon
catalog/ten.toml: tool query_stock: sql: must be one SELECT; it starts with another word
catalog/ten.toml: tool query_stock: is declared 2 times; rename or remove all but one
"""
CODE = """
from server.catalog.tool import Arguments, CodeTool, Result

class Nothing(Arguments):
    pass

class Number(Result):
    number: int

async def call(arguments, access):
    return Number(number=1)

TOOL = CodeTool(
    name="one", title="One", description="One.", arguments=Nothing, result=Number, scope="one:read", call=call
)
"""
OTHER_CODE = {
    "raises": (CODE + "raise RuntimeError('first\\nsecond')", "does not run: RuntimeError: first second"),
    "leaves": (CODE + "raise SystemExit(3)", "does not run: SystemExit: 3"),
    "is no Python": ("def (:", "does not run: SyntaxError: invalid syntax (tool.py, line 1)"),
    "imports nothing there is": (
        "import no_such_module",
        "does not run: ModuleNotFoundError: No module named 'no_such_module'",
    ),
    "defines no tool": (
        CODE.replace("TOOL =", "TOOLS ="),
        "does not define TOOL; assign a server.catalog.tool.CodeTool to it, or move the file away",
    ),
    "defines something else": (
        "TOOL = 'one'",
        "does not define TOOL; assign a server.catalog.tool.CodeTool to it, or move the file away",
    ),
    "reaches around its handle": (
        "from server.app import create_app\n" + CODE,
        (
            "imports server.app; of this program's modules a tool may import only server.catalog.tool, "
            "server.database.statement, server.errors"
        ),
    ),
    "lacks a title": (
        CODE.replace('title="One", ', ""),
        "does not run: TypeError: CodeTool.__init__() missing 1 required positional argument: 'title'",
    ),
    "has a wrong name": (
        CODE.replace('name="one"', 'name="one tool"'),
        (
            "does not run: ValueError: the name 'one tool' does not have the form ^[A-Za-z][A-Za-z0-9_-]{0,63}$; "
            "rename the tool"
        ),
    ),
    "has two scopes": (
        CODE.replace("one:read", "one:read two:read"),
        (
            "does not run: ValueError: the scope 'one:read two:read' must be one word without blanks, quotes and "
            "backslashes; rename it"
        ),
    ),
    "asks for a tenant": (
        CODE.replace("    pass", "    tenant_id: str"),
        "does not run: ValueError: no argument may name a tenant, and tenant_id does; the database adds it",
    ),
}


def problems_in(folder: Path, **files: str) -> list[str]:
    """Return what is wrong with the files of a folder named catalog; `a_py` is the file a.py."""
    (folder / "catalog").mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        file = f"{name.removesuffix('_py')}.py" if name.endswith("_py") else f"{name}.toml"
        (folder / "catalog" / file).write_text(text, encoding="utf-8")
    with pytest.raises(CatalogError) as refused:
        load_catalog([str(folder / "catalog")])
    return list(refused.value.problems)


def check(folder: Path, settings: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run `tenantgate tools check` with a settings file."""
    (folder / "tenantgate.toml").write_text(settings, encoding="utf-8")
    return subprocess.run(
        [sys.executable, "-m", "server", "tools", "check", "--config", str(folder / "tenantgate.toml"), *options],
        cwd=ROOT,
        env=CLEAN,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def ten(tmp_path: Path) -> Path:
    """A folder whose file has ten mistakes."""
    (tmp_path / "catalog").mkdir()
    (tmp_path / "catalog" / "ten.toml").write_text(TEN, encoding="utf-8")
    return tmp_path


def test_ten_mistakes_are_ten_lines(ten) -> None:
    checked = check(ten, 'catalog = ["catalog"]')
    assert checked.returncode == 1
    assert checked.stderr.splitlines() == SAID.strip().splitlines()
    assert checked.stdout == ""


def test_ten_mistakes_are_ten_entries_of_json(ten) -> None:
    checked = check(ten, 'catalog = ["catalog"]', "--json")
    assert checked.returncode == 1
    assert json.loads(checked.stdout) == {"ok": False, "problems": SAID.strip().splitlines()}
    assert checked.stderr == ""


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_one_line_with_file_entry_key_and_remedy(tmp_path, name) -> None:
    text, sentence = MISTAKES[name]
    (problem,) = problems_in(tmp_path, orders=text)
    if "not valid TOML" in sentence:  # Python says the rest
        problem = problem[: problem.rindex(",")]
    assert problem == f"catalog/orders.toml: {sentence}"


@pytest.mark.parametrize("name", OTHER_CODE)
def test_a_tool_in_code_that_cannot_be_used_is_one_line(tmp_path, name) -> None:
    text, sentence = OTHER_CODE[name]
    assert problems_in(tmp_path, tool_py=text) == [f"catalog/tool.py: {sentence}"]


@pytest.mark.parametrize("first", ["", "from __future__ import annotations\n"])
def test_a_tool_in_code_may_have_annotations_of_either_kind(tmp_path, first) -> None:
    parts = CODE.replace(
        "class Number(Result):", "class Part(Result):\n    n: int\n\nclass Number(Result):\n    p: Part"
    )
    (tmp_path / "one.py").write_text(first + parts, encoding="utf-8")
    catalog = load_catalog([str(tmp_path)])
    assert [tool.described.name for tool in catalog.code_tools] == ["one"]
    assert catalog.scopes == ("one:read",)


def test_names_are_unique_across_the_files_of_all_kinds(tmp_path) -> None:
    prompt = '[[prompt]]\nname = "ask"\ndescription = "Asks."\ntext = "Go."\n'
    one = table('list = { tool = "one" }') + prompt
    two = one.replace("shop.orders", "shop.bills") + table().replace("shop.orders", "shop.bills")
    assert sorted(problems_in(tmp_path, a=one, b=two, one_py=CODE)) == [
        "catalog/a.toml, catalog/b.toml: prompt ask: is declared 2 times; rename or remove all but one",
        "catalog/b.toml: table shop.bills: is declared 2 times; rename or remove all but one",
        "catalog/one.py, catalog/a.toml, catalog/b.toml: tool one: is declared 3 times; rename or remove all but one",
    ]
    whoami = table('list = { tool = "whoami" }')
    assert problems_in(tmp_path / "other", a=whoami) == [
        "the built-in tool, catalog/a.toml: tool whoami: is declared 2 times; rename or remove all but one"
    ]


def test_a_path_that_leads_nowhere_is_named(tmp_path) -> None:
    (tmp_path / "notes.md").touch()
    (tmp_path / "bytes.toml").write_bytes(b"instructions = '\xe4'")
    with pytest.raises(CatalogError) as refused:
        load_catalog([str(tmp_path / "no-such"), str(tmp_path / "notes.md"), str(tmp_path / "bytes.toml")])
    nowhere, notes, unreadable = refused.value.problems
    assert nowhere == f"catalog: {tmp_path}/no-such is not a folder, a .toml file or a .py file; correct its path"
    assert notes == f"catalog: {tmp_path}/notes.md is not a folder, a .toml file or a .py file; correct its path"
    assert re.fullmatch(
        rf"{tmp_path.name}/bytes.toml: cannot be read \(.*\); correct the file or its rights", unreadable
    )


def test_a_path_is_relative_to_the_settings_file_and_read_once(tmp_path) -> None:
    (tmp_path / "catalog").mkdir()
    (tmp_path / "catalog" / "orders.toml").write_text(table('list = { tool = "orders" }'), encoding="utf-8")
    checked = check(tmp_path, 'catalog = ["catalog", "catalog/orders.toml", "./catalog"]')
    assert (checked.returncode, checked.stderr) == (0, "")
    assert checked.stdout == "The catalog is valid without a database: 1 tables, 2 tools.\n"


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ("catalogue = []", "tenantgate: catalogue: is not a tenantgate setting; correct its name or remove it"),
        ("catalog = 'catalog'", "tenantgate: catalog: "),
        ("catalog = [", "tenantgate: the settings file "),
    ],
)
def test_a_mistake_in_the_settings_themselves_is_one_line_and_exit_code_2(tmp_path, settings, said) -> None:
    checked = check(tmp_path, settings)
    assert checked.returncode == 2
    assert checked.stderr.startswith(said)
    assert len(checked.stderr.splitlines()) == 1


def test_the_printed_schema_accepts_the_sample_and_refuses_a_wrong_key() -> None:
    printed = subprocess.run(
        [sys.executable, "-m", "server", "tools", "schema"], cwd=ROOT, env=CLEAN, capture_output=True, check=True
    )
    schema = json.loads(printed.stdout)
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    entry = {"name": "a.b", "tenant": "t", "scope": "s", "columns": {"c": {"type": "text"}}}
    assert validator.is_valid({"table": [entry]})
    assert not validator.is_valid({"table": [entry | {"colour": "red"}]})
