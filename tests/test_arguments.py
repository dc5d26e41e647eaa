"""How a tool's arguments are read: as JSON Schema means them, and refused with the remedy (case 11)."""

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
    place: Annotated[Text, StringConstraints(min_length=3)] = "here"
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
    assert re.search(rf"{name}: [^;]+ \(leave it out for no filter\)", refusal(**{name: text}))


def test_an_empty_text_is_a_value_where_the_schema_says_so() -> None:
    assert read(note="").note == ""


def test_an_empty_text_for_a_required_argument_is_not_to_be_left_out() -> None:
    assert "leave it out" not in refusal(query="")
    assert "unknown argument 'tenant'" in refusal(tenant="")


def test_a_text_that_is_too_long_or_too_short_is_counted_in_characters() -> None:
    """Case 19."""
    assert "customer: must have at most 200 characters" in refusal(customer="x" * 201)
    assert "place: must have at least 3 characters" in refusal(place="x")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"limit": "10"}, "limit: Input should be a valid integer, without quotation marks."),
        ({"descending": "true"}, "descending: Input should be a valid boolean, without quotation marks."),
        ({"ratio": "0.5"}, "ratio: Input should be a valid number, without quotation marks."),
        ({"numbers": "[1]"}, "numbers: Input should be a valid array, not a text that contains one."),
        ({"numbers": ["1"]}, "numbers: Input should be a valid integer."),
        ({"amount": [1]}, "amount: Input should be a number, or a text that contains one."),
        ({"limt": 5}, "unknown argument 'limt' (did you mean limit?)."),
        ({"Customer": "x"}, "unknown argument 'Customer' (did you mean customer?)."),
        ({"zzz": "x"}, "unknown argument 'zzz'."),
    ],
)
def test_a_mistake_that_models_make_is_named_with_its_remedy(arguments, said) -> None:
    """Case 11."""
    assert refusal(**arguments).endswith(f"nothing was read: {said}")


def test_an_error_does_not_repeat_the_names_of_all_arguments() -> None:
    """Case 19."""
    text = refusal(limit=0, zzz=1)
    assert not [name for name in Everything.model_fields if name != "limit" and name in text]


def test_thousands_of_wrong_arguments_get_a_short_answer() -> None:
    """R183: once, 26,000 unknown arguments made an error of 658 kB."""
    text = refusal(**{f"argument{number}": number for number in range(26_000)})
    assert "and 25992 more" in text
    assert len(refusal(**{"é" * 5_000 + str(number): 1 for number in range(50)}).encode()) < 4_096
    assert len(refusal(**{"\n" * 500 + str(number): 1 for number in range(50)}).encode()) < 4_096


@pytest.mark.parametrize("name", ["limit", "amount", "ratio", "note", "numbers", "zzz"])
@pytest.mark.parametrize("value", [float("inf"), [float("-inf")], {"a": [float("nan")]}])
def test_no_number_without_an_end_is_read(name: str, value) -> None:
    """JSON has 1e400, which becomes infinite."""
    assert f"{name}: Input should be a finite number" in refusal(**{name: value})


def test_every_problem_is_named_at_once() -> None:
    text = refusal(limit=0, customer="", tenant="broker-b")
    assert all(words in text for words in ("limit: ", "customer: ", "unknown argument 'tenant'"))
    assert "broker-b" not in text


@pytest.mark.parametrize(
    "arguments",
    [{"limit": 2.0}, {"limit": None, "sort": None, "descending": None, "cursor": None}, {"min_amount": None}],
)
def test_a_tool_accepts_each_valid_form_of_its_arguments(caller, arguments) -> None:
    """Case 11."""
    assert caller("mike-broker-a").answer("query_claims", **arguments)["claims"]


@pytest.mark.parametrize("name", ["cursor", "claim_number", "period", "limit", "sort"])
def test_a_tool_says_what_to_do_with_an_empty_text(caller, name: str) -> None:
    result = caller("mike-broker-a").call("query_claims", **{name: ""})
    assert result["isError"]
    assert re.search(rf"{name}: [^;]+ \(leave it out for no filter\)", result["content"][0]["text"])
