"""The recording of what the sample tools answered: its file, and how an answer is written down there.

`recorded_calls.json` has one row, one person or one call per line. A call's line holds what is sent (`person`, `tool`,
`arguments`, and `at` when the server's clock shows another time than `now`) and what came back: `status`, the
`challenge` if there was one, and one of

    answer    the tool's result; the body carries it twice, as a text and as structured content
    failed    the tool's own sentence of failure, with `isError`
    error     a JSON-RPC error; with `refused`, of the gate, which does not read the call's id
    body      the whole body, when it has none of these forms

That is a shorter way to write the body's exact bytes: `Answer.read` returns them all, or a test would have failed.
`modern` holds the same once more where the answer to 2026-07-28 differs in more than its form.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from conftest import MODERN

FILE: Final = Path(__file__).with_suffix(".json")
ERAS: Final = ("2025-11-25", MODERN)

Line = dict[str, Any]

_SENT: Final = ("number", "person", "tool", "arguments", "at")
_RESULT: Final = '{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":<text>}]'
_FORMS: Final = {
    "answer": _RESULT + ',"structuredContent":<value>,"isError":false<end>}}',
    "failed": _RESULT + ',"isError":true<end>}}',
    "error": '{"jsonrpc":"2.0","id":1,"error":<value>}',
    "refused": '{"jsonrpc":"2.0","id":null,"error":<value>}',
    "body": "<value>",
}
_ENDS: Final = {
    "2025-11-25": "",
    MODERN: ',"resultType":"complete","_meta":{"io.modelcontextprotocol/serverInfo":'
    '{"name":"tenantgate","title":"tenantgate","version":"<version>"}}',
}


@dataclass(frozen=True)
class Answer:
    """One HTTP answer, compared as a whole; what cannot be equal is masked in `body` and `challenge`."""

    status: int
    challenge: str | None
    body: str

    @classmethod
    def read(cls, written: Mapping[str, Any], era: str) -> "Answer":
        """Return the answer that a call's line holds for this era."""
        if era == MODERN and "modern" in written:
            return cls.read(written["modern"], era)
        (form,) = _FORMS.keys() & written.keys()
        value = written[form]
        text = value if form in {"failed", "body"} else _compact(value)
        parts = {"<value>": text, "<text>": _compact(text), "<end>": _ENDS[era]}
        body = re.sub("<value>|<text>|<end>", lambda part: parts[part[0]], _FORMS[form])
        return cls(written["status"], written.get("challenge"), body)

    def write(self, era: str) -> Line:
        """Return the shortest form of which `read` makes exactly this answer."""
        written: Line = {"status": self.status} | ({"challenge": self.challenge} if self.challenge else {})
        for form, value in _forms(self.body):
            line = written | {form: value}
            if self == Answer.read(line, era):
                return line
        return written | {"body": self.body}


def outcome(line: Mapping[str, Any]) -> Line:
    """Return what came back, without what was sent."""
    return {key: value for key, value in line.items() if key not in _SENT}


def answered(line: Mapping[str, Any], answers: Mapping[str, Answer]) -> Line:
    """Return the line with new answers, one per era."""
    earlier, modern = (answers[era].write(era) for era in ERAS)
    line = {key: line[key] for key in _SENT if key in line} | earlier
    return line if Answer.read(earlier, MODERN) == answers[MODERN] else line | {"modern": modern}


def load() -> Line:
    """Return the recording."""
    return json.loads(FILE.read_text(encoding="utf-8"))


def save(recording: Mapping[str, Any]) -> None:
    """Write the recording, one line per row, person and call."""
    sections = ",\n".join(f'"{name}": {_section(value)}' for name, value in recording.items())
    FILE.write_text(f"{{\n{sections}\n}}\n", encoding="utf-8")


def _section(value: Any) -> str:
    if isinstance(value, dict):
        return "{\n" + ",\n".join(f"  {_line(key)}: {_line(item)}" for key, item in value.items()) + "\n}"
    if isinstance(value, list):
        return "[\n" + ",\n".join(f"  {_line(item)}" for item in value) + "\n]"
    return _line(value)


def _line(value: Any) -> str:
    """Return JSON in which every character can be seen: a bidirectional control would reorder the reviewer's screen."""
    text = json.dumps(value, ensure_ascii=False)
    return "".join(one if one.isprintable() else json.dumps(one)[1:-1] for one in text)


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _forms(body: str) -> list[tuple[str, Any]]:
    """Return the forms that the body may have."""
    try:
        message: Any = json.loads(body)
        if "error" in message:
            return [("error", message["error"]), ("refused", message["error"])]
        text = message["result"]["content"][0]["text"]
        return [("failed", text)] if message["result"]["isError"] else [("answer", json.loads(text))]
    except (ValueError, LookupError, TypeError):
        return []
