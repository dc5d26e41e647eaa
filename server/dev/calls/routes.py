"""The addresses at the development issuer where a signed-in person reads what the server did in their own calls.

    POST /development/calls/REQUEST                    {"arguments": {…}}  → the audit record, the SQL, the filter
    GET  /development/calls/REQUEST/documents/NAME                         → the document that a passage came from

REQUEST is the `x-request-id` of the call's answer. Another person's call answers like one that does not exist.
`tenantgate serve` has none of this: its SQL is for the operator, and its records are read with `tenantgate audit`.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

from anyio import to_thread
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from server.audit.evidence import ArgumentDigests
from server.audit.reading import Filter, read_records
from server.catalog.tool import Tool
from server.dev.calls.rehearsal import Sent, rehearse
from server.dev.issuer.application import DevelopmentIssuer
from server.dev.knowledge_base.sidecar import read_sidecar
from server.documents.isolation import Isolation
from server.errors import StartupError

_UNCACHED: Final = {"Cache-Control": "no-store"}
_NONE: Final = "None of your calls has this request id, or it named no such document."
_UNREADABLE: Final = 'Send the arguments of the call: {"arguments": {…}}.'


@dataclass(frozen=True, slots=True)
class _Caller:
    """The tenant and tier in an audit record."""

    tenant: str | None
    tier: str | None
    why_no_tier: str | None = None


@dataclass(frozen=True, slots=True)
class OwnCalls:
    """The calls in the audit trail at `trail`, each for the person who made it."""

    trail: Path
    tools: Mapping[str, Tool]
    digests: ArgumentDigests
    documents: Path | None
    isolate_by: tuple[str, ...]

    def serve_at(self, issuer: DevelopmentIssuer) -> None:
        """Add the addresses to `issuer`, which checks the person's access token."""
        issuer.serve_for_people("/development/calls/{request}", self.call, "POST")
        issuer.serve_for_people("/development/calls/{request}/documents/{name:path}", self.document, "GET")

    async def call(self, request: Request) -> Response:
        """Answer with the record of one call, and with what its tool sent if the arguments are those of the call."""
        arguments = _arguments(await request.body())
        if arguments is None:
            return _problem(400, _UNREADABLE)
        record = await self._record(request)
        if record is None:
            return _problem(404, _NONE)
        tool = self.tools.get(str(record.get("tool")))
        same = self.digests.of(arguments) == record.get("arguments")
        sent = await rehearse(tool, arguments, record, self.isolate_by) if tool and same else Sent()
        ran = sent.digest in {one["digest"] for one in record.get("statements", ())}
        answer = {
            "record": record,
            # Only what certainly ran: the record holds the digest of each statement's text.
            "statement": {"sql": sent.sql, "values": sent.values, "digest": sent.digest} if ran else None,
            "filter": sent.filter if record.get("searches") else None,
        }
        return JSONResponse(answer, headers=_UNCACHED)

    async def document(self, request: Request) -> Response:
        """Answer with the text of a document that one call returned a passage of."""
        name = str(request.path_params["name"])
        record = await self._record(request)
        if record is None or self.documents is None or name not in record.get("documents", ()):
            return _problem(404, _NONE)
        text = await to_thread.run_sync(self._text, self.documents, name, record)
        return _problem(404, _NONE) if text is None else JSONResponse({"name": name, "text": text}, headers=_UNCACHED)

    async def _record(self, request: Request) -> dict[str, Any] | None:
        """Return the record of the call, if the person of the token made it."""
        claims = cast("AuthenticatedUser", request.user).access_token.claims or {}
        return await to_thread.run_sync(
            self._find, str(request.path_params["request"]), str(claims["iss"]), str(claims["sub"])
        )

    def _find(self, request: str, issuer: str, subject: str) -> dict[str, Any] | None:
        try:
            records = read_records(self.trail, Filter(person=subject))
            return next((one for one in records if (one.get("request"), one.get("issuer")) == (request, issuer)), None)
        except StartupError:
            return None

    def _text(self, folder: Path, name: str, record: Mapping[str, Any]) -> str | None:
        isolation = Isolation.of(_Caller(record.get("tenant"), record.get("tier")), self.isolate_by)
        for path in sorted(folder.rglob("*")):
            named = path.is_file() and f"/{path.relative_to(folder).as_posix()}".endswith(f"/{name}")
            # Two tiers may have documents of one name.
            if named and isolation.admits(read_sidecar(path).attributes):
                return path.read_text(encoding="utf-8-sig")
        return None


def _arguments(body: bytes) -> dict[str, Any] | None:
    try:
        sent: Any = json.loads(body)
        arguments = sent["arguments"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return cast("dict[str, Any]", arguments) if isinstance(arguments, dict) else None


def _problem(status: int, message: str) -> Response:
    return JSONResponse({"error": message}, status, _UNCACHED)
