"""How a tool's arguments are read: as JSON Schema means them, and refused with the remedy."""

import re
from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Literal, cast

import pytest
from pydantic import Field, StringConstraints
from pydantic_core import SchemaValidator

from server.catalog.arguments import parse
from server.catalog.tool import Arguments, Text
from server.errors import ArgumentsError

Amount = Annotated[Decimal, Field(ge=0, lt=100_000_000, decimal_places=2, allow_inf_nan=False)]


class Everything(Arguments):
    query: Text = Field(description="Required.")
    limit: int = Field(default=20, ge=1, le=100)
    descending: bool = True
    sort: Literal["filed_at", "amount"] = "filed_at"
    note: str = "none"
    customer: Annotated[Text, StringConstraints(max_length=200)] | None = None
    filed: date | None = None
    amount: Amount | None = None
    ratio: float | None = None
    numbers: list[int] = Field(default=[])


def read(**arguments: Any) -> Everything:
    names = {name: field.is_required() for name, field in Everything.model_fields.items()}
    validator = cast("SchemaValidator", Everything.__pydantic_validator__)
    return parse(validator, names, {"query": "x"} | arguments)


def refusal(**arguments: Any) -> str:
    with pytest.raises(ArgumentsError) as refused:
        read(**arguments)
    assert "nothing was read" in str(refused.value)
    return str(refused.value)


@pytest.mark.parametrize("value", [10, 10.0])
def test_a_number_without_a_fraction_is_an_integer(value) -> None:
    """JSON Schema, section 6.1.1: 10.0 is an integer."""
    assert read(limit=value, numbers=[value]) == Everything(query="x", limit=10, numbers=[10])
    assert read(ratio=value).ratio == 10.0
    assert read(amount=value).amount == Decimal(10)


@pytest.mark.parametrize("value", [10.5, 1e300, float("inf"), float("nan"), 2.0**53 + 2, "10", "10.0", True, [10]])
def test_nothing_else_becomes_an_integer(value) -> None:
    assert "limit: " in refusal(limit=value)


def test_null_for_an_argument_that_has_a_default_is_the_default() -> None:
    given = dict.fromkeys(Everything.model_fields) | {"query": "x"}
    assert read(**given) == Everything(query="x")
    assert "query: " in refusal(query=None)
    assert "unknown argument 'tenant'" in refusal(tenant=None)


@pytest.mark.parametrize("name", ["limit", "descending", "sort", "customer", "filed", "amount", "ratio", "numbers"])
@pytest.mark.parametrize("text", ["", "  \n"])
def test_an_empty_text_is_refused_with_the_remedy(name: str, text: str) -> None:
    assert re.search(rf"{name}: [^;]+ \(leave it out for no filter\)\. ", refusal(**{name: text}))


def test_an_empty_text_is_a_value_where_the_schema_says_so() -> None:
    assert read(note="").note == ""


def test_an_empty_text_for_a_required_argument_is_not_to_be_left_out() -> None:
    assert "leave it out" not in refusal(query="")
    assert "unknown argument 'tenant'" in refusal(tenant="")


def test_a_text_that_is_too_long_is_counted_in_characters() -> None:
    assert "customer: must have at most 200 characters" in refusal(customer="x" * 201)


def test_every_problem_is_named_at_once() -> None:
    text = refusal(limit=0, customer="", tenant="broker-b")
    assert all(words in text for words in ("limit: ", "customer: ", "unknown argument 'tenant'"))
    assert "broker-b" not in text


@pytest.mark.parametrize(
    "arguments",
    [{"limit": 2.0}, {"limit": None, "sort": None, "descending": None, "cursor": None}, {"min_amount": None}],
)
def test_a_tool_reads_its_arguments_so(caller, arguments) -> None:
    assert caller("mike-broker-a").answer("query_claims", **arguments)["claims"]


@pytest.mark.parametrize("name", ["cursor", "claim_number", "period", "limit", "sort"])
def test_a_tool_says_what_to_do_with_an_empty_text(caller, name: str) -> None:
    result = caller("mike-broker-a").call("query_claims", **{name: ""})
    assert result["isError"]
    assert re.search(rf"{name}: [^;]+ \(leave it out for no filter\)\. ", result["content"][0]["text"])
