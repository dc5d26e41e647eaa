"""The demo itself: ask every question as its person, keep the answers, and compare them with the script."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import jwt

from client_demo.agent import ToolCall, ask
from client_demo.errors import RefusedByServerError
from client_demo.scenario import FOREIGN, MISSING, Question

_CLAIM_NUMBER: Final = re.compile(r"CLM-\w-\d+")
Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Answered:
    """One question with its answer, and everything that the agent received for it."""

    question: Question
    tenant: str | None
    tier: str | None
    answer: str
    calls: tuple[ToolCall, ...] = ()
    turned_away: bool = False

    @property
    def tool(self) -> str:
        """The names of the tools that were called; empty when the server refused the person at once."""
        return ", ".join(call.name for call in self.calls)

    @property
    def refusal(self) -> str:
        """The server's own refusal; empty when it answered, even if it found nothing."""
        failures = [call.result for call in self.calls if call.is_error]
        return self.answer if self.turned_away else "\n".join(failures)

    @property
    def received(self) -> str:
        """All text that the agent received, and its answer, without the claim numbers that the person typed."""
        text = "\n".join([*(call.result for call in self.calls), self.answer])
        for number in _claim_numbers(self.question.text):
            text = text.replace(number, "(the number)")
        return text

    def as_row(self) -> dict[str, str | None]:
        """Return the row for `--json`."""
        return {
            "person": self.question.person,
            "tenant": self.tenant,
            "tier": self.tier,
            "question": self.question.text,
            "tool": self.tool,
            "answer": self.answer,
        }


def run(
    questions: Sequence[Question], tokens: Mapping[str, str], mcp_url: str, progress: Progress
) -> Iterator[Answered]:
    """Ask the questions one after the other; AgentError when the server or the model fails."""
    for question in questions:
        progress(f"{question.person}: {question.text}")
        yield _answered(question, tokens[question.person], mcp_url)


def _answered(question: Question, token: str, mcp_url: str) -> Answered:
    # Only for the table: the agent does not use it, and the server reads the token itself.
    claims: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    tenant = claims.get("custom:tenant_id")
    tier = ", ".join(claims.get("cognito:groups", [])) or None
    try:
        turn = ask(question.text, token, mcp_url)
    except RefusedByServerError as refusal:
        return Answered(question, tenant, tier, f"Refused: {refusal}", turned_away=True)
    return Answered(question, tenant, tier, turn.answer, turn.calls)


def differences(answers: Sequence[Answered]) -> list[str]:
    """Return one sentence for every answer that differs from the script; empty when none does."""
    found = [
        f"{answered.question.person}, {answered.question.text!r}: {problem}; the answer was: {answered.answer}"
        for answered in answers
        for problem in _problems(answered)
    ]
    received = {answered.question: answered.received for answered in answers}
    if received[FOREIGN] != received[MISSING]:
        found.append("A claim number of another tenant does not answer like one that does not exist.")
    return found


def _problems(answered: Answered) -> Iterator[str]:
    question = answered.question
    if leaked := re.search(question.never, answered.received):
        yield f"{leaked.group()} must not be seen"
    if not re.search(question.says, answered.answer):
        yield f"it does not say {question.says}"
    if question.claims is not None and frozenset(_claim_numbers(answered.answer)) != question.claims:
        yield f"the claims are not exactly {', '.join(sorted(question.claims))}"
    if question.refused and not re.search(question.refused, answered.refusal):
        yield f"no refusal that names {question.refused}"
    if not answered.calls and not answered.turned_away:
        yield "no tool was asked"
    if any("tenant_id" in call.arguments and not call.is_error for call in answered.calls):
        yield "an argument tenant_id was accepted"


def _claim_numbers(text: str) -> list[str]:
    return [match.group() for match in _CLAIM_NUMBER.finditer(text)]
