"""The metadata filter of Bedrock's Retrieve: check its form, and match documents with it.

Source: the RetrievalFilter and FilterAttribute types of the Agents for Amazon Bedrock Runtime API. The real client
checks only the outline, so sizes, nesting and the types of values are checked here.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from server.documents.bedrock.labels import KEY_CHARACTERS
from server.documents.upload.attributes import (
    Metadata,
    is_boolean,
    is_list,
    is_number,
    is_object,
    is_string,
    is_string_list,
)

Matches: TypeAlias = Callable[[Metadata], bool]

GROUP_MEMBERS: Final = range(2, 6)


class RetrievalFilterError(ValueError):
    """The filter is not one that Bedrock accepts; the message names the place and what is allowed there."""


@dataclass(frozen=True, slots=True)
class Operator:
    """One comparison: the type of its value, and when an attribute (None when missing) satisfies it."""

    expects: str
    accepts: Callable[[Any], bool]
    holds: Callable[[Any, Any], bool]


def everything(metadata: Metadata) -> bool:  # noqa: ARG001  # the signature of every filter
    """Match every document: used when there is no filter."""
    return True


def parse_filter(document: Any) -> Matches:
    """Return a predicate over a document's metadata for the filter's JSON, or raise RetrievalFilterError."""
    return _parse(document, "filter", groups_left=2)


def _parse(document: Any, place: str, groups_left: int) -> Matches:
    """Read one filter in which at most `groups_left` levels may be andAll or orAll."""
    if not is_object(document) or len(document) != 1:
        raise RetrievalFilterError(f"{place} must be an object with exactly one operator.")
    name, operand = next(iter(document.items()))
    if name in ("andAll", "orAll"):
        return _parse_group(name, operand, f"{place}.{name}", groups_left)
    operator = OPERATORS.get(name)
    if operator is None:
        allowed = ", ".join([*OPERATORS, "andAll", "orAll"])
        raise RetrievalFilterError(f"{place} has an unknown operator; it must be one of {allowed}.")
    return _parse_comparison(operator, operand, f"{place}.{name}")


def _parse_group(name: str, members: Any, place: str, groups_left: int) -> Matches:
    """Read andAll or orAll."""
    if groups_left == 0:
        raise RetrievalFilterError(f"{place} is nested too deeply; andAll and orAll may be nested one level.")
    if not is_list(members) or len(members) not in GROUP_MEMBERS:
        raise RetrievalFilterError(f"{place} must be a list of 2 to 5 filters.")
    parsed = [_parse(member, f"{place}[{index}]", groups_left - 1) for index, member in enumerate(members)]
    quantifier = all if name == "andAll" else any
    return lambda metadata: quantifier(matches(metadata) for matches in parsed)


def _parse_comparison(operator: Operator, operand: Any, place: str) -> Matches:
    """Read the key and the value of one comparison."""
    if not is_object(operand) or operand.keys() != {"key", "value"}:
        raise RetrievalFilterError(f"{place} must be an object with a key and a value, and nothing else.")
    key, value = operand["key"], operand["value"]
    if not is_string(key) or len(key) not in KEY_CHARACTERS:
        raise RetrievalFilterError(f"{place}.key must be a string of 1 to 100 characters.")
    if not operator.accepts(value):
        raise RetrievalFilterError(f"{place}.value must be {operator.expects}.")
    return lambda metadata: operator.holds(metadata.get(key), value)


def _is_scalar(value: Any) -> bool:
    return is_string(value) or is_number(value) or is_boolean(value)


def _equals(attribute: Any, value: Any) -> bool:
    # In Python True equals 1; in metadata a boolean never equals a number.
    return is_boolean(attribute) is is_boolean(value) and attribute == value


def _in(attribute: Any, value: Any) -> bool:
    return is_string(attribute) and attribute in value


def _starts_with(attribute: Any, value: Any) -> bool:
    return is_string(attribute) and attribute.startswith(value)


def _list_contains(attribute: Any, value: Any) -> bool:
    return is_list(attribute) and value in attribute


def _string_contains(attribute: Any, value: Any) -> bool:
    """Return whether a string contains the value, or a list has a member that does."""
    texts = [attribute] if is_string(attribute) else attribute if is_string_list(attribute) else []
    return any(value in text for text in texts)


SCALAR: Final = "a string, a number or a boolean"

OPERATORS: Final[Mapping[str, Operator]] = {
    "equals": Operator(SCALAR, _is_scalar, _equals),
    # The two negations also match documents without the key, as in Bedrock.
    "notEquals": Operator(SCALAR, _is_scalar, lambda attribute, value: not _equals(attribute, value)),
    "in": Operator("a list of strings", is_string_list, _in),
    "notIn": Operator("a list of strings", is_string_list, lambda attribute, value: not _in(attribute, value)),
    "greaterThan": Operator("a number", is_number, lambda attribute, value: is_number(attribute) and attribute > value),
    "greaterThanOrEquals": Operator(
        "a number", is_number, lambda attribute, value: is_number(attribute) and attribute >= value
    ),
    "lessThan": Operator("a number", is_number, lambda attribute, value: is_number(attribute) and attribute < value),
    "lessThanOrEquals": Operator(
        "a number", is_number, lambda attribute, value: is_number(attribute) and attribute <= value
    ),
    "startsWith": Operator("a string", is_string, _starts_with),
    "listContains": Operator("a string", is_string, _list_contains),
    "stringContains": Operator("a string", is_string, _string_contains),
}
