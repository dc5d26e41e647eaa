"""Tools in few words: what a model needs to call them, and nothing that a call is checked against anyway."""

from typing import Any

import pytest

from server.catalog.declarations import Table
from server.catalog.listing import ListingTool
from server.catalog.source import TableSource
from server.catalog.summary import SummaryTool
from server.errors import ArgumentsError

DECLARED: dict[str, Any] = {
    "name": "shop.orders",
    "tenant": "account_id",
    "scope": "orders:read",
    "description": "What was ordered.",
    "list": {"tool": "query_orders", "sort": "-placed_at"},
    "summary": {"tool": "summarize_orders", "chart": False},
    "columns": {
        "id": {"type": "integer", "filter": True},
        "status": {"type": "text", "values": ["open", "paid"], "filter": True, "group": True},
        "number": {"type": "text", "filter": True, "description": "As on the invoice."},
        "total": {"type": "decimal", "filter": "range", "measures": ["total"]},
        "placed_at": {"type": "timestamp", "filter": "range", "period": True, "sort": True},
    },
}


def described(*, brief: bool, **more: Any) -> list[dict[str, Any]]:
    source = TableSource(Table.model_validate({**DECLARED, "brief": brief, **more}))
    tools = (ListingTool(source, source.table.list), SummaryTool(source, source.table.summary))  # pyright: ignore[reportArgumentType]
    return [tool.describe().model_dump(mode="json", by_alias=True, exclude_none=True) for tool in tools]


def test_a_brief_tool_has_its_arguments_and_no_form_of_its_result() -> None:
    listing, summary = described(brief=True)
    assert listing["description"] == "Lists orders. What was ordered."
    assert summary["description"] == "Counts orders."
    assert "outputSchema" not in listing | summary
    assert listing["annotations"] == {"readOnlyHint": True, "openWorldHint": False}
    assert listing["inputSchema"]["properties"] == {
        "status": {"enum": ["open", "paid"]},
        "id": {"type": "integer"},
        "number": {"type": "string", "description": "As on the invoice."},
        "period": {"type": "string", "examples": ["last_week", "last_30_days"]},
        "placed_from": {"type": "string", "format": "date"},
        "placed_to": {"type": "string", "format": "date"},
        "min_total": {"anyOf": [{"type": "number"}, {"type": "string"}]},
        "max_total": {"anyOf": [{"type": "number"}, {"type": "string"}]},
        "sort": {"const": "placed_at", "default": "placed_at"},
        "descending": {"type": "boolean", "default": True},
        "limit": {"type": "integer", "maximum": 100, "default": 20},
        "cursor": {"type": "string"},
    }


def test_a_brief_tool_has_the_same_arguments_as_a_full_one() -> None:
    for brief, full in zip(described(brief=True), described(brief=False), strict=True):
        assert brief["inputSchema"]["properties"].keys() == full["inputSchema"]["properties"].keys()


def test_a_title_and_description_of_its_own_stay() -> None:
    listing, _ = described(brief=True, list={"tool": "query_orders", "title": "Find", "description": "Finds."})
    assert (listing["title"], listing["description"]) == ("Find", "Finds.")


@pytest.mark.parametrize(
    "arguments", [{"tenant": "x"}, {"limit": 101}, {"limit": 0}, {"period": "ever"}, {"number": ""}, {"status": "x"}]
)
def test_a_brief_tool_checks_its_arguments_as_strictly(arguments) -> None:
    source = TableSource(Table.model_validate({**DECLARED, "brief": True}))
    assert source.table.list is not None
    with pytest.raises(ArgumentsError):
        ListingTool(source, source.table.list)._arguments.parse(arguments)
