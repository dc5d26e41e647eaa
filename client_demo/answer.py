"""The offline model's second half: one sentence from one tool result, with the result's own figures."""

import json
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final, cast

from client_demo.passage import answering_sentence, shared_words
from client_demo.question import ToolRequest

Result = Mapping[str, Any]

_ASKS_FOR_NUMBER: Final = re.compile(r"\bhow many\b|\bnumber of\b", re.IGNORECASE)
_ASKS_FOR_AMOUNT: Final = re.compile(r"\bhow much\b|\btotal\b|\bworth\b|\baverage\b|\blargest\b", re.IGNORECASE)
# The sentence that a language model is asked to say, too: client_demo/agent.py.
NO_ANSWER: Final = "The documents do not say."
# The share of a question's words from which on a passage is taken to be about the question.
_ENOUGH_SHARED: Final = 0.5
# Strands puts these words before an error that came as a JSON-RPC error instead of a result.
_CLIENT_PREFIX: Final = "Tool execution failed: "


def answer_to(question: str, request: ToolRequest, result: str, *, is_error: bool) -> str:
    """Return one sentence with what `result`, the text of the tool result, answers; a refusal starts with "Refused"."""
    if is_error:
        return _failed(result.removeprefix(_CLIENT_PREFIX))
    try:
        values: Any = json.loads(result)
    except ValueError:
        return result
    tell = _SENTENCES.get(request.name)
    return tell(question, request.arguments, values) if tell else result


def _failed(reason: str) -> str:
    # A caller who may retry was not refused: something is down, and the reason says so.
    return reason if reason.startswith("Refused") or re.search(r"\bRetry\b", reason) else f"Refused: {reason}"


def _listed(question: str, arguments: Result, values: Result) -> str:
    claims: Sequence[Result] = values["claims"]
    if not claims:
        number = arguments.get("claim_number")
        return f"No claim {number} was found." if number else f"No {_kind(arguments, 0)} were found."
    more = " There are more." if values.get("next_cursor") else ""
    if _ASKS_FOR_NUMBER.search(question):
        at_least = "At least " if more else ""
        return f"{at_least}{len(claims)} {_kind(arguments, len(claims))} {_filed(arguments, len(claims), values)}."
    return f"{len(claims)} {_kind(arguments, len(claims))}: {'; '.join(map(_claim, claims))}.{more}"


def _summarised(question: str, arguments: Result, values: Result) -> str:
    total: Result = values["total"]
    count = int(total["count"])
    sentence = f"{count or 'No'} {_kind(arguments, count)} {_filed(arguments, count, values)}"
    if count and _ASKS_FOR_AMOUNT.search(question):
        sentence += f", for {_money(total['total_amount'])} in total"
        for name, words in (("average_amount", "on average"), ("largest_amount", "the largest")):
            if name.partition("_")[0] in question.lower() and total.get(name):
                sentence += f", {_money(total[name])} {words}"
    if group_by := arguments.get("group_by"):
        groups: Sequence[Result] = values["groups"]
        sentence += f"; by {str(group_by).replace('_', ' ')}: "
        sentence += ", ".join(f"{group['key']} {group['count']}" for group in groups)
    return f"{sentence}."


def _quoted(question: str, _arguments: Result, values: Result) -> str:
    passages = cast("Sequence[Result]", values["passages"])
    # The first of those that share most, because the store returns the best first.
    found = max(passages, key=lambda passage: shared_words(question, str(passage["text"])), default=None)
    if found is None or shared_words(question, str(found["text"])) < _ENOUGH_SHARED:
        return NO_ANSWER
    return f"{answering_sentence(question, str(found['text']))} (source: {found['document']})"


def _introduced(_question: str, _arguments: Result, values: Result) -> str:
    tier = values.get("tier") or "none"
    tenant = values.get("tenant") or "none"
    return f"You are {values['subject']}, tenant {tenant}, tier {tier}."


def _kind(arguments: Result, count: int) -> str:
    """Return the name of what was counted, such as "open auto claims"."""
    adjectives = [str(arguments[name]) for name in ("status", "line_of_business") if arguments.get(name)]
    return " ".join([*adjectives, "claim" if count == 1 else "claims"])


def _filed(arguments: Result, count: int, values: Result) -> str:
    """Return the time with the server's dates, such as "were filed last week (2026-11-16 to 2026-11-22)"."""
    verb = "was" if count == 1 else "were"
    period = arguments.get("period")
    if not period:
        return f"{verb} found"
    dates = [str(values[name])[:10] for name in ("filed_from", "filed_to") if values.get(name)]
    return f"{verb} filed {str(period).replace('_', ' ')}" + (f" ({' to '.join(dates)})" if dates else "")


def _claim(claim: Result) -> str:
    parts = [claim["customer_name"], claim["line_of_business"], claim["status"], _money(claim["amount"])]
    return f"{claim['claim_number']} ({', '.join(map(str, parts))}, filed {str(claim['filed_at'])[:10]})"


def _money(amount: Any) -> str:
    return f"${Decimal(str(amount)):,.2f}"


_SENTENCES: Final = {
    "query_claims": _listed,
    "summarize_claims": _summarised,
    "search_policies": _quoted,
    "whoami": _introduced,
}
