"""SQL in the hands of an attacker: without a context, and with the person's own signed context."""

from collections.abc import Sequence
from typing import Final

from client_demo.attempts.database_wall import Seen, judge, look, signing, wrapped
from client_demo.attempts.others import TABLES
from client_demo.attempts.report import Record, Run, Table, Wall, not_reached
from client_demo.attempts.scene import Scene
from client_demo.attempts.session import Outcome, as_rows, serving_session

_BARE: Final = "As somebody who took over the server's login"
_SIGNED: Final = "Inside a tool call of yours"
_NO_TENANT: Final = "The server knows no tenant of yours, so no context can be signed for you."
_HAS_LOGIN: Final = "This run has the service's own login already, so nobody asks for a token."


def attempt_sql(scene: Scene) -> list[Run]:
    """Run the text on the real database as the service's own login, twice."""
    person = scene.person
    admitted = scene.records.of([(person.admitted.request, person.admitted.status)])
    if person.tenant is None:
        walls = [
            Wall("gate", "passed", "The server accepted your token."),
            Wall("tenant", "stopped", _NO_TENANT),
            *not_reached("database"),
        ]
        return [Run(_SIGNED, "No SQL was run.", walls, _NO_TENANT, records=admitted)]
    return [_bare(scene), _signed(scene, admitted)]


def _bare(scene: Scene) -> Run:
    with serving_session(scene.place.service_url) as session:
        outcome = session.run_all(scene.text)
        seen = look(session, None)
    wall = _wall(scene, seen, outcome, None)
    walls = [*not_reached("gate", "tenant", evidence=_HAS_LOGIN), wall]
    how = "Your text as it is, several statements allowed, in one read-only transaction of the service's login."
    return Run(_BARE, how, walls, _said(outcome), outcome.tables)


def _signed(scene: Scene, admitted: Sequence[Record]) -> Run:
    person = scene.person
    sign = signing(scene.place.context_key, person)
    statement = wrapped(scene.text)
    context = sign(statement)
    with serving_session(scene.place.service_url) as session:
        outcome = session.run(statement.text, context)
        seen = look(session, sign)
    tables = [_without(as_rows(table) or table, context) for table in outcome.tables]
    walls = [
        Wall("gate", "passed", "The server accepted your token."),
        Wall(
            "tenant", "passed", f"It belongs to {person.tenant}; the context is signed for you and this statement only."
        ),
        _wall(scene, seen, Outcome(tables, outcome.error, outcome.cut), person.tenant),
    ]
    how = "Your text as the query of a tool: one statement, sent with the context that the server signs for you."
    return Run(_SIGNED, how, walls, _said(outcome), tables, records=admitted)


def _wall(scene: Scene, seen: Seen, outcome: Outcome, own: str | None) -> Wall:
    cells = (cell for table in outcome.tables for row in table.rows for cell in row)
    leaked = scene.others.found_in(cells, scene.text) if scene.others else []
    wall = judge(scene.others, seen, leaked, own, f"PostgreSQL refused it: {outcome.error}." if outcome.error else "")
    if wall.state != "stopped":
        return wall
    if outcome.cut:
        return Wall("database", "unknown", f"The answer was not read to its end: {outcome.cut}.")
    if not outcome.error and not any(table.partition(".")[2] in scene.text for table in TABLES):
        nothing = "The text names no protected table, so there was nothing to stop."
        return Wall("database", "passed", f"{nothing} {wall.evidence}")
    return wall


def _said(outcome: Outcome) -> str:
    if outcome.error:
        return f"ERROR: {outcome.error}"
    if outcome.cut:
        return f"Not read to its end: {outcome.cut}."
    return "" if any(table.rows for table in outcome.tables) else "No rows."


def _without(table: Table, context: str) -> Table:
    """Return the table without the signature of the context, which SQL can read and nobody needs to see."""
    signature = context.rpartition("|")[2]
    return Table(table.columns, [[cell.replace(signature, "(signature)") for cell in row] for row in table.rows])
