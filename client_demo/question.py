"""The offline model's first half: from a question to one tool call, by rules that a person can read.

The rules know words, not answers. Like a language model they see only the question and the server's list of tools,
and they try whatever the question asks for. The server protects the data, not these rules.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

Schema = Mapping[str, Any]

_CLAIM_NUMBER: Final = re.compile(r"\bCLM-[A-Z0-9-]*[A-Z0-9]\b", re.IGNORECASE)
_ASSIGNMENT: Final = re.compile(r"\b(\w+)\s*=\s*[\"']?([\w.:-]*\w)")
# The first match wins; if it names several tools, the first that the server listed is called.
_RULES: Final = (
    (re.compile(r"\bwho am i\b|\bmy (tenant|tier)\b", re.IGNORECASE), ("whoami",)),
    (_CLAIM_NUMBER, ("query_claims",)),
    (
        re.compile(r"\b(how many|how much|total|average|largest|number of)\b.*\bclaims?\b", re.IGNORECASE),
        ("summarize_claims", "query_claims"),
    ),
    (
        re.compile(
            r"\b(deductibles?|cover(s|ed|age)?|polic(y|ies)|exclu\w+|guides?|documents?)\b"
            r"|\bhow (do|does|can|should|long|soon)\b|\bwhat (happens|must|should)\b",
            re.IGNORECASE,
        ),
        ("search_policies",),
    ),
    (re.compile(r"\bclaims?\b", re.IGNORECASE), ("query_claims",)),
    (re.compile(""), ("search_policies",)),
)
_AMOUNTS: Final = (
    ("min_amount", re.compile(r"\b(?:over|above|more than|at least) \$?([\d,]+(?:\.\d+)?)", re.IGNORECASE)),
    ("max_amount", re.compile(r"\b(?:under|below|less than|at most) \$?([\d,]+(?:\.\d+)?)", re.IGNORECASE)),
)


@dataclass(frozen=True, slots=True)
class ToolRequest:
    """The one tool call that the question seems to request."""

    name: str
    arguments: dict[str, Any]


def request_for(question: str, tools: Mapping[str, Schema]) -> ToolRequest | None:
    """Choose a tool among `tools` (name to input schema) and its arguments; None when no listed tool fits."""
    name = next((name for pattern, names in _RULES if pattern.search(question) for name in names if name in tools), "")
    if not name:
        return None
    arguments = {"query": question} if name == "search_policies" else _filters(question, tools[name])
    # Unchecked on purpose: every name=value in the question is passed on, whether or not the tool knows it.
    arguments.update(_ASSIGNMENT.findall(question))
    return ToolRequest(name, arguments)


def _filters(question: str, schema: Schema) -> dict[str, Any]:
    """Read filters from the question, as far as the tool's own schema has them."""
    known = cast("Schema", schema.get("properties", {}))
    found: dict[str, Any] = {}
    if "claim_number" in known and (number := _CLAIM_NUMBER.search(question)):
        found["claim_number"] = number.group().upper()
    for name, pattern in _AMOUNTS:
        if name in known and (amount := pattern.search(question)):
            found[name] = amount.group(1).replace(",", "")
    for name, leading in (("status", ""), ("line_of_business", ""), ("period", ""), ("group_by", r"(?:by|per|each) ")):
        values = _allowed_values(known.get(name, {}), schema)
        mentioned = [value for value in values if _mentions(question, leading, value)]
        if mentioned:
            # The longest, because "last week" may be part of a longer value.
            found[name] = max(mentioned, key=len)
    return found


def _mentions(question: str, leading: str, value: str) -> bool:
    return re.search(rf"\b{leading}{re.escape(value.replace('_', ' '))}\b", question, re.IGNORECASE) is not None


def _allowed_values(part: Schema, schema: Schema) -> list[str]:
    """Return a property's enumerated values, also through `anyOf` and `$ref` into `$defs`."""
    if reference := part.get("$ref"):
        part = cast("Schema", schema.get("$defs", {})).get(str(reference).rpartition("/")[2], {})
    nested = [value for branch in part.get("anyOf", []) for value in _allowed_values(branch, schema)]
    return [value for value in part.get("enum", []) if isinstance(value, str)] + nested
