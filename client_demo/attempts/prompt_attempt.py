"""A question that tries to talk the agent out of its instructions, sent through the real agent as the person."""

import json
from typing import Any, Final

import httpx2

from client_demo.agent import ToolCall, Turn, ask
from client_demo.attempts.argument_attempt import said
from client_demo.attempts.call import Reply
from client_demo.attempts.call_walls import walls_of
from client_demo.attempts.report import Record, Run, State, Table, Wall, not_reached
from client_demo.attempts.scene import Scene
from client_demo.call_requests import CallRequests
from client_demo.errors import RefusedByServerError
from client_demo.offline_model import OfflineModel

_TITLE: Final = "Your prompt, through the agent"
_HOW: Final = (
    "The agent answers with the offline model, which follows every name=value that a prompt contains: it is as "
    "obedient to an attacker as a model can be."
)
_UNRECORDED: Final = Record("", 0, None, None)
# Of several calls, the worst counts.
_WORST_FIRST: Final[tuple[State, ...]] = ("failed", "unknown", "stopped", "passed", "not_reached")


def attempt_prompt(scene: Scene) -> list[Run]:
    """Ask what the person wrote, as the person, and report the calls that the model made of it."""
    answers: list[tuple[str, int]] = []
    requests = CallRequests()

    async def answered(response: httpx2.Response) -> None:
        answers.append((response.headers.get("x-request-id", ""), response.status_code))
        await requests.note(response)

    try:
        turn = ask(scene.text, scene.person.token, scene.place.mcp_url, OfflineModel(), answered)
    except RefusedByServerError as error:
        walls = [
            Wall("gate", "passed", "The server accepted your token."),
            Wall("tenant", "stopped", str(error)),
            *not_reached("database"),
        ]
        return [Run(_TITLE, _HOW, walls, str(error), records=_calls_in(scene.records.of(answers)))]
    found = _calls_in(scene.records.of(answers))
    by_request = {record.request: record for record in found}
    records = [by_request.get(requests.take(call.name, call.arguments) or "", _UNRECORDED) for call in turn.calls]
    walls, tables = _walls(scene, turn, records)
    calls = [
        {"tool": call.name, "arguments": call.arguments, "refused": call.result if call.is_error else ""}
        for call in turn.calls
    ]
    return [Run(_TITLE, _HOW, walls, turn.answer, tables, calls, found)]


def _walls(scene: Scene, turn: Turn, records: list[Record]) -> tuple[list[Wall], list[Table]]:
    if not turn.calls:
        accepted = Wall("gate", "passed", "The server accepted your token.")
        return [accepted, *not_reached("tenant", "database", evidence="The model called no tool.")], []
    each: list[list[Wall]] = []
    tables: list[Table] = []
    for call, record in zip(turn.calls, records, strict=True):
        reply = _reply(call, record)
        each.append(walls_of(scene, reply, record))
        tables += said(reply)[1]
    walls = _worst(each)
    if scene.others is not None and (leaked := scene.others.found_in([turn.answer], scene.text)):
        walls.append(Wall("database", "failed", f"The answer has values of another tenant: {', '.join(leaked[:5])}."))
    return walls, tables


def _worst(each: list[list[Wall]]) -> list[Wall]:
    """Return one wall of each name, in order: the worst of all calls."""
    found: dict[str, Wall] = {}
    for wall in (wall for walls in each for wall in walls):
        known = found.get(wall.name, wall)
        found[wall.name] = min(known, wall, key=lambda one: _WORST_FIRST.index(one.state))
    return list(found.values())


def _calls_in(records: list[Record]) -> list[Record]:
    """Return the records of tool calls; a connection also sends requests that read nothing."""
    return [one for one in records if (one.audit or {}).get("tool")]


def _reply(call: ToolCall, record: Record) -> Reply:
    data: Any = None
    if not call.is_error:
        try:
            data = json.loads(call.result)
        except ValueError:
            data = None
    return Reply(record.request, record.status, call.result if call.is_error else "", data, call.is_error)
