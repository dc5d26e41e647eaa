"""What must be true of the answers, the trail and the logs of a run; each check returns a line for each offence."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.callers import Answer, Lost

from server.audit.files import trail_files
from server.audit.keys import PublicKeys
from server.audit.verify import verify

# What each caller's answers hold, and nothing else.
CLAIMS = {
    "broker-a": {"CLM-A-001", "CLM-A-002", "CLM-A-003"},
    "broker-b": {"CLM-B-001", "CLM-B-002"},
}
# docs/database.md, docs/documents.md and docs/architecture.md have these sentences.
ERRORS = frozenset(
    {
        "The database is not available; nothing was read. Retry in a few seconds.",
        "The database took too long; nothing was read. Retry, or narrow the filters.",
        "This tenant has too many calls running at once; nothing was read. Retry in a few seconds.",
        "The server is busy; nothing was read. Retry in a few seconds.",
        "The document store is busy; nothing was read. Retry in a few seconds.",
        "The document search is not available; nothing was read. Retry in a few seconds.",
        "The document search took too long; nothing was read. Retry, or ask for fewer passages.",
        "The isolation of the documents is not proved yet; nothing was read. Retry in a few seconds.",
    }
)
REFUSALS = {
    429: ("Too many calls from this person; retry in ", "Too many calls from this tenant; retry in "),
    503: (
        "The identity provider's keys cannot be reached; retry in a few seconds.",
        "The identity provider has not published the key of this access token yet; retry in a few seconds.",
        "The server cannot record this access, so it does not answer; retry in a few seconds.",
    ),
}


@dataclass(frozen=True, slots=True)
class Asked:
    """Who asked for a tool, as a caller's `who` says: a tenant, and a tier where documents are searched."""

    tenant: str
    tier: str = ""

    @classmethod
    def of(cls, who: str) -> "Asked":
        return cls(*who.split("/"))


def foreign_rows(answers: Iterable[Answer]) -> list[str]:
    """Return each answer that holds anything but exactly what its caller may see."""
    return [problem for answer in answers if answer.is_good and (problem := _foreign(answer))]


def _foreign(answer: Answer) -> str:
    found, asked = answer.result.get("structuredContent", {}), Asked.of(answer.call.who)
    match answer.call.tool:
        case "query_claims":
            seen = {row["claim_number"] for row in found["claims"]}
            expected = CLAIMS[asked.tenant]
            if answer.call.arguments:
                expected = {number for number in expected if number.endswith("-001")}
            return "" if seen == expected else f"{asked.tenant} was shown {sorted(seen)} ({answer.request})"
        case "search_policies":
            tiers = {word for word in ("regular", "platinum") if word in answer.body.decode()}
            return "" if tiers == {asked.tier} else f"tier {asked.tier} was shown {sorted(tiers)} ({answer.request})"
        case _:
            return ""


def said(answer: Answer) -> str:
    """Return what a caller reads of an answer that is not good, with its status."""
    if answer.status == 200:
        return "200 " + " ".join(part.get("text", "") for part in answer.result.get("content", ()))
    return f"{answer.status} {json.loads(answer.body or b'{}').get('error', {}).get('message')}"


def undocumented(answers: Iterable[Answer]) -> list[str]:
    """Return each kind of answer that no document has."""
    return sorted({text for answer in answers if not answer.is_good and not _is_documented(text := said(answer))})


def _is_documented(text: str) -> bool:
    status, _, sentence = text.partition(" ")
    return sentence in ERRORS if status == "200" else sentence.startswith(REFUSALS.get(int(status), ("never",)))


def is_counted(answer: Answer) -> bool:
    """Whether nobody was authenticated: of such answers the trail has the first of each kind, and counts the others."""
    return answer.status == 503 and "identity provider" in said(answer)


def unrecorded(answers: Iterable[Answer], trail: Path) -> list[str]:
    """Return the ids of answered requests that are in no file of the trail, but for those that are counted."""
    recorded = {line["request"] for line in _lines(trail) if "request" in line}
    return [
        f"{answer.request} is not in the trail"
        for answer in answers
        if answer.request not in recorded and not is_counted(answer)
    ]


def uncounted(answers: Iterable[Answer], trail: Path) -> list[str]:
    """Compare how many unauthenticated callers were answered in a whole run, and how many the trail has, both ways."""
    lines = [line for line in _lines(trail) if "identity provider" in str(line.get("refused"))]
    there = sum(line.get("count", 1) for line in lines)
    seen = sum(map(is_counted, answers))
    return [] if there == seen else [f"{seen} were answered, and the trail has {there}"]


def _lines(trail: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for file in trail_files(trail) for line in file.read_bytes().splitlines()]


def broken(trail: Path, keys: PublicKeys) -> list[str]:
    """Return the first break of each worker's trail."""
    return [
        f"{one.broken.file.name} line {one.broken.line}: {one.broken.kind}" for one in verify(trail, keys) if one.broken
    ]


def late(answers: Iterable[Answer], lost: Iterable[Lost], ended_at: float, within_s: float) -> tuple[float, list[str]]:
    """Return how long after the fault's end a call still failed, and an offence where that is too long."""
    bad = [one.at for one in answers if not one.is_good] + [one.at for one in lost]
    took_s = max([at - ended_at for at in bad if at > ended_at], default=0.0)
    return took_s, [] if took_s <= within_s else [f"a call failed {took_s:.1f} s after the fault's end"]


def found(canaries: Mapping[str, str], files: Iterable[tuple[str, bytes]]) -> Iterator[str]:
    """Yield each place where a secret stands: what it is, and the file; never itself."""
    for name, content in files:
        for kind, secret in canaries.items():
            if secret.encode() in content:
                yield f"{kind} stands in {name}"
