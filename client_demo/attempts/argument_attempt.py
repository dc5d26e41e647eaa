"""A tool call over real HTTP with the person's own token and the arguments that they wrote."""

import json
from typing import Any, Final, cast

from client_demo.attempts.call import Reply, call_tool
from client_demo.attempts.call_walls import walls_of
from client_demo.attempts.report import Run, Table
from client_demo.attempts.scene import Scene
from client_demo.errors import ServerError
from client_demo.invocation import InvalidError
from client_demo.server_process import tokens_of

TOOLS: Final = ("query_claims", "summarize_claims", "search_policies", "whoami")
# Stands for a cursor that the server gave to a person of another tenant a moment ago.
FOREIGN_CURSOR: Final = "CURSOR-OF-ANOTHER-TENANT"


def attempt_argument(scene: Scene, tool: str) -> list[Run]:
    """Call `tool` with the JSON object that the person wrote; raise InvalidError for another text."""
    arguments = read_object(scene.text, "The arguments")
    how = f"tools/call of {tool} over HTTP, with your token and your arguments."
    if FOREIGN_CURSOR in arguments.values():
        owner, cursor = _cursor_of_another(scene)
        arguments = {name: cursor if value == FOREIGN_CURSOR else value for name, value in arguments.items()}
        how = f"{how} The cursor was issued to {owner} just now."
    reply = call_tool(scene.place.mcp_url, scene.person.token, tool, arguments)
    [record] = scene.records.of([(reply.request, reply.status)])
    return [Run("A tool call of yours", how, walls_of(scene, reply, record), *said(reply), records=[record])]


def read_object(text: str, what: str) -> dict[str, Any]:
    """Return the JSON object in `text`; raise InvalidError that names the mistake."""
    try:
        value = json.loads(text)
    except ValueError as error:
        raise InvalidError(f"{what} must be a JSON object: {error}.") from None
    except RecursionError:
        raise InvalidError(f"{what} are nested too deeply; nest them less.") from None
    if not isinstance(value, dict):
        raise InvalidError(f'{what} must be a JSON object, such as {{"name": "value"}}.')
    return value  # pyright: ignore[reportUnknownVariableType]


def said(reply: Reply) -> tuple[str, list[Table]]:
    """Return a reply's message, or its rows as tables."""
    if reply.is_error or not isinstance(reply.data, dict):
        return reply.text, []
    data: dict[str, Any] = reply.data  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    tables: list[Table] = []
    for value in data.values():
        rows = cast("list[dict[str, Any]]", value if isinstance(value, list) else [])
        if rows:
            columns = list(rows[0])
            tables.append(Table(columns, [[_cell(row.get(column)) for column in columns] for row in rows]))
    if tables:
        return "", tables
    has_list = any(isinstance(value, list) for value in data.values())
    return ("No rows." if has_list else json.dumps(data)), []


def _cell(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _cursor_of_another(scene: Scene) -> tuple[str, str]:
    """Return a person of another tenant and a cursor that the server gave them; raises ServerError."""
    owner = scene.place.other_person(scene.person.tenant)
    if owner is None:
        raise ServerError("No person of another tenant is known; start `tenantgate dev` with its sample.")
    token = tokens_of([owner], scene.place.folder)[owner]
    reply = call_tool(scene.place.mcp_url, token, "query_claims", {"limit": 1})
    cursor = None if reply.is_error else reply.data.get("next_cursor")
    if not cursor:
        raise ServerError(f"The server gave {owner} no cursor: {reply.text}")
    return owner, str(cursor)
