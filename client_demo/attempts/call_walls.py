"""What each wall did with one tool call, from the server's answer, its audit record and the owner's view."""

from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal

import psycopg

from client_demo.attempts.call import Reply
from client_demo.attempts.database_wall import Seen, judge, look, signing
from client_demo.attempts.report import Record, Wall, not_reached
from client_demo.attempts.scene import Scene
from client_demo.attempts.session import serving_session

_ACCEPTED: Final = "The server accepted the token."
_SEARCH: Final = "search_policies"
_WITHHELD: Final = frozenset({"WithheldError"})
_STOPPED_BY_TENANCY: Final = frozenset({"ArgumentsError", "RefusedError", "TenancyError"})


def walls_of(scene: Scene, reply: Reply, record: Record) -> list[Wall]:
    """Return gate, tenant, and the database or the documents for one call."""
    texts = list(texts_of([reply.text, reply.data]))
    audit = record.audit or {}
    outcome, data = str(audit.get("outcome", "")), _data_wall(audit)
    if failed := _failed(scene, texts):
        return failed
    if reply.status == 401 or (reply.status == 403 and outcome != "TenancyError"):
        return [Wall("gate", "stopped", f"HTTP {reply.status}: {reply.text}"), *not_reached("tenant", data)]
    gate = Wall("gate", "passed", _ACCEPTED)
    if outcome in _STOPPED_BY_TENANCY:
        return [gate, Wall("tenant", "stopped", reply.text), *not_reached(data)]
    if not audit or reply.status != 200 or (reply.is_error and outcome not in _WITHHELD):
        unknown = f"The call failed, so nothing can be said: HTTP {reply.status}, {reply.text}"
        return [gate, Wall("tenant", "unknown", unknown), *not_reached(data, evidence=unknown)]
    tenant = Wall("tenant", "passed", f"The tenant is {audit.get('tenant')}, from the token; no argument names one.")
    return [gate, tenant, _data(scene, reply, audit)]


def texts_of(value: Any) -> Iterator[str]:
    """Yield every text in a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for one in value.values():  # pyright: ignore[reportUnknownVariableType]
            yield from texts_of(one)
    elif isinstance(value, list):
        for one in value:  # pyright: ignore[reportUnknownVariableType]
            yield from texts_of(one)


def _data_wall(audit: Mapping[str, Any]) -> Literal["database", "documents"]:
    return "documents" if audit.get("searches") or audit.get("tool") == _SEARCH else "database"


def _data(scene: Scene, reply: Reply, audit: Mapping[str, Any]) -> Wall:
    if audit.get("searches"):
        return _documents(scene, reply)
    if audit.get("statements"):
        return _database(scene, f"The call returned {audit.get('rows', 0)} rows.")
    return not_reached(_data_wall(audit), evidence="This call reads nothing there.")[0]


def _failed(scene: Scene, texts: list[str]) -> list[Wall]:
    """Return the walls of a call that brought something of another tenant or tier: then nothing else matters."""
    if scene.others is None:
        return []
    gate, tenant = Wall("gate", "passed", _ACCEPTED), Wall("tenant", "passed", "The call was made.")
    if leaked := scene.others.found_in(texts, scene.text):
        return [gate, tenant, judge(scene.others, Seen({}), leaked, None, "")]
    if foreign := scene.others.passages_in(texts):
        return [gate, tenant, Wall("documents", "failed", f"The answer has {len(foreign)} passages of another tier.")]
    return []


def _database(scene: Scene, attempt: str) -> Wall:
    try:
        with serving_session(scene.place.service_url) as session:
            seen = look(session, signing(scene.place.context_key, scene.person))
    except psycopg.Error:
        seen = Seen({}, is_complete=False)
    return judge(scene.others, seen, [], scene.person.tenant, attempt)


def _documents(scene: Scene, reply: Reply) -> Wall:
    others, tier = scene.others, scene.person.tier
    if others is None or not others.tiers:
        return Wall("documents", "unknown", "Without a search that has no filter, nothing can be compared.")
    passages: list[dict[str, Any]] = reply.data["passages"] if reply.data else []
    strange = [one for one in passages if one["metadata"].get("tier") != tier]
    if strange:
        return Wall(
            "documents", "failed", f"{len(strange)} of {len(passages)} passages are labelled with another tier."
        )
    own, every = others.tiers.get(str(tier), 0), sum(others.tiers.values())
    came = f"all {len(passages)} that came back are of that tier" if passages else "none came back"
    return Wall("documents", "stopped", f"The filter tier = {tier} leaves {own} of {every} passages; {came}.")
