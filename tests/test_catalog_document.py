"""docs/catalog.md: each example is loaded, each key of the declarations is in a table and in an example, and back."""

import json
import re
import tomllib
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

import jsonschema
import pytest
from pydantic import BaseModel

from server.catalog import comparison, declarations
from server.catalog.columns import Column, ColumnType
from server.catalog.declarations import (
    CatalogFile,
    Listing,
    Parameter,
    ParameterType,
    Prompt,
    PromptArgument,
    ResultColumn,
    Search,
    SqlTool,
    Summary,
    Table,
    Through,
)
from server.catalog.loading import Catalog, load_catalog
from server.catalog.offer import offered
from server.catalog.periods import PERIODS
from server.settings import Settings

TEXT = (Path(__file__).parents[1] / "docs" / "catalog.md").read_text(encoding="utf-8")
BLOCKS: list[tuple[str, str]] = re.findall(r"^```(\w+)\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)
EXAMPLES = [text for kind, text in BLOCKS if kind == "toml" and not text.startswith("# tenantgate.toml")]
ANSWERS = [json.loads(text) for kind, text in BLOCKS if kind == "json"]
# The heading over the table of each model's keys.
HEADINGS: dict[type[BaseModel], str] = {
    CatalogFile: "# The catalog",
    Table: "### Keys of a table",
    Listing: "### Keys of `[table.list]`",
    Summary: "### Keys of `[table.summary]`",
    Column: "### Keys of a column",
    Through: "### Children",
    SqlTool: "## SQL tools",
    Parameter: "### Keys of a parameter",
    ResultColumn: "### Keys of a result column",
    Search: "## Searches",
    Prompt: "## Prompts",
    PromptArgument: "### Keys of an argument",
}


def rows_under(heading: str, header: str = "key") -> list[list[str]]:
    """Return the cells of the first table under a heading whose first column is called `header`."""
    section = TEXT.partition(f"{heading}\n")[2]
    assert section, heading
    table = re.search(rf"^\| {header} \|.*\n\|[-|]+\|\n((?:\|.*\n)+)", section, re.MULTILINE)
    assert table is not None, heading
    lines = table[1].splitlines()
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


def quoted(cell: str) -> list[str]:
    return re.findall(r"`([^`]*)`", cell)


def load(tmp_path: Path, text: str) -> Catalog:
    file = tmp_path / "example.toml"
    file.write_text(text, encoding="utf-8")
    return load_catalog([str(file)])


@pytest.mark.parametrize("text", EXAMPLES)
def test_each_example_is_loaded(tmp_path, text) -> None:
    catalog = load(tmp_path, text)
    offer = offered(catalog, Settings.model_validate({"documents": {"knowledge_base_id": "ABCDEFGHIJ"}}))
    assert all(tool.described.input_schema for tool in offer.tools)
    assert len(offer.prompts) == len(catalog.prompts)


def test_the_python_example_is_loaded(tmp_path) -> None:
    (source,) = [text for kind, text in BLOCKS if kind == "python"]
    (tmp_path / "example.py").write_text(source, encoding="utf-8")
    (tool,) = load_catalog([str(tmp_path)]).code_tools
    assert list(tool.described.input_schema["properties"]) == ["customer"]


def test_the_settings_example_is_valid() -> None:
    (text,) = [text for kind, text in BLOCKS if kind == "toml" and text.startswith("# tenantgate.toml")]
    assert Settings.model_validate(tomllib.loads(text)).catalog == ("tools", "reports/sales.toml")


def test_every_model_of_the_declarations_has_its_table() -> None:
    models = {
        one
        for one in vars(declarations).values()
        if isinstance(one, type) and issubclass(one, BaseModel) and one.model_fields
    }
    assert models == HEADINGS.keys()


@pytest.mark.parametrize("model", HEADINGS, ids=lambda model: model.__name__)
def test_each_table_of_keys_has_exactly_the_keys_of_its_model_with_their_defaults(model) -> None:
    rows = rows_under(HEADINGS[model])
    assert [quoted(row[0])[0] for row in rows] == list(model.model_fields)
    for name, default, meaning in rows:
        field = model.model_fields[quoted(name)[0]]
        assert meaning
        if default == "required":
            assert field.is_required()
        elif default == "none":
            assert field.default in (None, ())
        else:
            value = tomllib.loads(f"x = {quoted(default)[0]}")["x"]
            assert field.default == (tuple(value) if isinstance(value, list) else value)
            assert type(field.default) is type(tuple(value) if isinstance(value, list) else value)


def used_keys(content: Mapping[str, Any]) -> Iterator[tuple[type[BaseModel], Mapping[str, Any]]]:
    """Yield each part of an example with the model that it is of."""
    yield CatalogFile, content
    for table in content.get("table", ()):
        yield Table, table
        yield from ((Column, column) for column in table["columns"].values())
        yield from ((model, table[key]) for key, model in (("list", Listing), ("summary", Summary)) if key in table)
        if isinstance(table.get("tenant"), dict):
            yield Through, table["tenant"]
    for tool in content.get("tool", ()):
        yield SqlTool, tool
        yield from ((Parameter, one) for one in tool["parameters"].values())
        yield from ((ResultColumn, one) for one in tool["columns"].values())
    yield from ((Search, search) for search in content.get("search", ()))
    for prompt in content.get("prompt", ()):
        yield Prompt, prompt
        yield from ((PromptArgument, one) for one in prompt.get("arguments", {}).values())


def test_each_key_is_used_in_an_example() -> None:
    used: dict[type[BaseModel], set[str]] = defaultdict(set)
    for text in EXAMPLES:
        for model, part in used_keys(tomllib.loads(text)):
            used[model] |= part.keys()
    # Values of a text parameter are shown as those of a column.
    missing = {(model.__name__, key) for model in HEADINGS for key in model.model_fields.keys() - used[model]}
    assert missing == {("Parameter", "values")}


def test_the_table_of_types_says_what_each_is_in_postgresql() -> None:
    rows = {quoted(row[0])[0]: set(quoted(row[1])) for row in reversed(rows_under("## Types", "type"))}
    texts = rows.pop("text")
    assert rows == comparison._TYPES
    assert texts == comparison._TEXTS
    assert {kind.removesuffix("[]") for kind in get_args(ColumnType)} == {*rows, "text"}


def test_the_table_of_parameter_types_has_all_of_them() -> None:
    listed = [kind for row in rows_under("### Keys of a parameter", "type") for kind in quoted(row[0])]
    assert listed == list(get_args(ParameterType))


@pytest.fixture
def orders(tmp_path: Path) -> dict[str, Any]:
    """The two tools of the first example, as tools/list describes them."""
    offer = offered(load(tmp_path, EXAMPLES[0]), Settings(whoami=False))
    return {tool.name: tool.described for tool in offer.tools}


def test_the_arguments_of_the_example_are_those_that_the_page_lists(orders) -> None:
    filters = [name for row in rows_under("## What a call may say", "argument") for name in quoted(row[0])]
    pages = [name for row in rows_under("### The tool that lists", "argument") for name in quoted(row[0])]
    assert sorted(orders["query_orders"].input_schema["properties"]) == sorted([*filters, *pages])
    counting = orders["summarize_orders"].input_schema["properties"]
    assert sorted(counting) == sorted([*filters, "group_by"])
    assert counting["group_by"]["enum"] == ["status", "week", "month"]
    periods = next(row for row in rows_under("## What a call may say", "argument") if quoted(row[0]) == ["period"])
    assert quoted(periods[2]) == list(PERIODS)


@pytest.mark.parametrize(("place", "tool"), [(0, "query_orders"), (1, "summarize_orders")])
def test_an_answer_of_the_page_has_the_form_that_the_tool_announces(orders, place, tool) -> None:
    schema = orders[tool].output_schema
    jsonschema.Draft202012Validator(schema).validate(ANSWERS[place])
    assert ANSWERS[place].keys() == schema["properties"].keys()


@pytest.mark.parametrize(("target", "page"), re.findall(r"\]\(((?:[a-z-]+\.md)?)(#[a-z0-9-]+)?\)", TEXT))
def test_a_link_of_the_page_leads_to_a_heading(target, page) -> None:
    text = TEXT if not target else (Path(__file__).parents[1] / "docs" / target).read_text(encoding="utf-8")
    headings = {
        re.sub(r"[^a-z0-9 _-]", "", line.lstrip("# ").lower()).replace(" ", "-")
        for line in text.splitlines()
        if line.startswith("#")
    }
    assert not page or page.removeprefix("#") in headings
