"""The decision on a request before its body is read, and the answer to a refused one."""

from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from client_demo.errors import AgentError, RefusedByServerError, TokenError
from client_demo.invocation import InvalidError, TokenMissingError, bearer

PATH: Final = "/invocations"
# The longest question with the longest history is shorter, in all but the rarest scripts.
LARGEST_BODY_BYTES: Final = 1024 * 1024
UNCACHED: Final = {"Cache-Control": "no-store"}
_RETRY_AFTER: Final = {"Retry-After": "5"}


class Admission:
    """Middleware that refuses an invocation without a bearer token before its body is read."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap `app`."""
        self._app: Final = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 401 or 400 from the headers alone, or pass the request on."""
        try:
            if scope["type"] == "http" and scope["path"] == PATH:
                bearer(Request(scope))
        except (TokenMissingError, InvalidError) as error:
            await refusal(error)(scope, receive, send)
            return
        await self._app(scope, receive, send)


def refusal(error: AgentError | InvalidError) -> Response:
    """Return the status that says what to do: 400 correct the request, 401 sign in, 403 do not retry, 503 try later."""
    match error:
        case TokenError():
            status, headers = 401, _challenge(error)
        case RefusedByServerError():
            status, headers = error.status, _challenge(error) if error.status == 401 else {}
        case AgentError():
            # Never 500: AgentCore treats that as a container that does not start, and retries for two minutes.
            status, headers = 503, _RETRY_AFTER
        case InvalidError():
            status, headers = 400, {}
    return JSONResponse({"error": str(error)}, status, {**UNCACHED, **headers})


def _challenge(error: AgentError) -> dict[str, str]:
    """Return the challenge of RFC 6750 section 3; without a token it names no error."""
    return {"WWW-Authenticate": "Bearer" if isinstance(error, TokenMissingError) else 'Bearer error="invalid_token"'}
