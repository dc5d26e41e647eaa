"""`POST /attempts` and `POST /attempts/ready`, for the page of the same origin and a person who signed in there.

What is checked before anything is done: the Origin is this server's own, the page's own header is there, exactly one
bearer token, and the size of the body. Then the real server says who the person is. One attempt at a time per person.
"""

import asyncio
import logging
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any, Final, Literal

import psycopg
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from client_demo.admission import UNCACHED, refusal
from client_demo.attempts.argument_attempt import TOOLS, attempt_argument
from client_demo.attempts.others import others_or_none
from client_demo.attempts.person import Person, identify
from client_demo.attempts.place import Place
from client_demo.attempts.prompt_attempt import attempt_prompt
from client_demo.attempts.ready_made import ready_made
from client_demo.attempts.records import Records
from client_demo.attempts.report import Run
from client_demo.attempts.scene import Scene, scene_of
from client_demo.attempts.sql_attempt import attempt_sql
from client_demo.attempts.token_attempt import attempt_token
from client_demo.errors import AgentError, DemoError
from client_demo.invocation import InvalidError, bearer

PATH: Final = "/attempts"
HEADER: Final = "x-tenantgate-attempt"
LONGEST_TEXT: Final = 4_096
# A text of the longest length, in which JSON escapes each character.
LONGEST_BODY_BYTES: Final = 6 * LONGEST_TEXT + 1_024
_MOST_AT_ONCE: Final = 4
_HIDDEN: Final = "(hidden)"


class Attempt(BaseModel):
    """The body of `POST /attempts`."""

    model_config = ConfigDict(extra="forbid")
    kind: Literal["sql", "argument", "token", "prompt"]
    text: str = Field(min_length=1, max_length=LONGEST_TEXT, pattern=r"^[^\x00]*$")
    tool: str | None = Field(default=None, max_length=100)

    def check(self) -> "Attempt":
        """Raise InvalidError where the parts do not fit each other; return the attempt."""
        if not self.text.strip():
            raise InvalidError("The attempt is empty; write something first.")
        if (self.kind == "argument") != (self.tool is not None) or self.tool not in {None, *TOOLS}:
            raise InvalidError(f"tool: an argument needs one of {', '.join(TOOLS)}; leave it out otherwise.")
        return self


class Attempts:
    """The two endpoints over one development stack."""

    def __init__(self, place: Place) -> None:
        """Nothing is opened yet."""
        self._place: Final = place
        self._busy: Final = set[tuple[str, str]]()

    @property
    def routes(self) -> list[Route]:
        """The routes for the web demo's server."""
        return [
            Route(PATH, self._answered(self._attempt), methods=["POST"]),
            Route(f"{PATH}/ready", self._answered(self._ready), methods=["POST"]),
        ]

    def _answered(self, handle: Callable[[bytes, str], Any]) -> Callable[[Request], Any]:
        async def endpoint(request: Request) -> Response:
            try:
                check_origin(request)
                token = bearer(request)
                body = await _body(request)
                return self._json(await asyncio.to_thread(handle, body, token))
            except (AgentError, InvalidError) as error:
                return refusal(error)
            except _BusyError as error:
                return JSONResponse({"error": str(error)}, 429, {**UNCACHED, "Retry-After": "1"})
            except (DemoError, psycopg.Error) as error:
                logging.getLogger(__name__).warning("an attempt could not be made: %s", type(error).__name__)
                said = str(error) if isinstance(error, DemoError) else "The development database does not answer."
                return self._json({"error": said}, 503)

        return endpoint

    def _attempt(self, body: bytes, token: str) -> dict[str, Any]:
        asked = _read(body)
        records = Records(self._place.folder)
        person = identify(token, self._place.mcp_url)
        with self._alone(person):
            runs = _runs(asked, scene_of(self._place, person, asked.text, records, documents=asked.kind != "sql"))
            return {"runs": [run.as_json() for run in runs]}

    def _ready(self, _body: bytes, token: str) -> dict[str, Any]:
        person = identify(token, self._place.mcp_url)
        others = others_or_none(self._place, person)
        attacks = ready_made(self._place, person, others) if others else []
        return {"attacks": attacks, "tools": list(TOOLS), "claims": person.claims, "longest": LONGEST_TEXT}

    @contextmanager
    def _alone(self, person: Person) -> Generator[None]:
        """Hold the person's one place; raise _BusyError when it is taken, or too many attempts run."""
        key = (person.issuer, person.subject)
        if key in self._busy:
            raise _BusyError("Your last attempt is still running; wait for it.")
        if len(self._busy) >= _MOST_AT_ONCE:
            raise _BusyError("Too many attempts run at once; try again in a moment.")
        self._busy.add(key)
        try:
            yield
        finally:
            self._busy.discard(key)

    def _json(self, value: Any, status: int = 200) -> Response:
        """Return the answer without any secret of the stack, whatever SQL or an error message may have found."""
        answer = JSONResponse(value, status, UNCACHED)
        for secret in self._place.secrets:
            answer.body = bytes(answer.body).replace(secret.encode(), _HIDDEN.encode())
        answer.headers["content-length"] = str(len(answer.body))
        return answer


def _runs(asked: Attempt, scene: Scene) -> list[Run]:
    match asked.kind:
        case "sql":
            return attempt_sql(scene)
        case "argument":
            return attempt_argument(scene, asked.tool or "")
        case "token":
            return attempt_token(scene)
        case "prompt":
            return attempt_prompt(scene)


class _BusyError(Exception):
    """Nothing was tried, because an attempt is still running."""


def check_origin(request: Request) -> None:
    """Raise InvalidError for a request that did not come from a page of this very origin."""
    own = f"{request.url.scheme}://{request.headers.get('host', '')}"
    origins = request.headers.getlist("origin")
    if origins != [own] or request.headers.get("sec-fetch-site", "same-origin") != "same-origin":
        raise InvalidError("Another page sent this request; open the page of this server.")
    if request.headers.getlist(HEADER) != ["1"]:
        raise InvalidError(f"The header {HEADER}: 1 is missing; send it.")
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise InvalidError("The body must be application/json.")


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > LONGEST_BODY_BYTES:
            raise InvalidError(f"The body is longer than {LONGEST_BODY_BYTES} bytes; send fewer.")
    return bytes(body)


def _read(body: bytes) -> Attempt:
    try:
        return Attempt.model_validate_json(body).check()
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False, include_context=False)
        named = [f"{'.'.join(map(str, problem['loc'])) or 'body'}: {problem['msg']}" for problem in problems]
        raise InvalidError("; ".join(named)) from None
