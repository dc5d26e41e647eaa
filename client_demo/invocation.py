"""One request to the runtime: its body, its token and its session id, each checked before anything is done."""

from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request
from strands.types.content import Message

from client_demo.errors import DemoError, TokenError

_SESSION_CHARACTERS: Final = range(33, 257)


class InvalidError(DemoError):
    """The request itself is wrong; the message names the part, and never repeats a value."""


class TokenMissingError(TokenError):
    """No access token came with the request."""


class Said(BaseModel):
    """One earlier message of the conversation, as the caller's page kept it."""

    model_config = ConfigDict(extra="forbid")
    role: Literal["user", "assistant"]
    text: str = Field(min_length=1, max_length=20_000)


class Invocation(BaseModel):
    """The body of an invocation: a question with earlier messages, or the request to name the caller."""

    model_config = ConfigDict(extra="forbid")
    prompt: str = Field(default="", max_length=4_000)
    history: list[Said] = Field(default_factory=list[Said], max_length=40)
    action: Literal["ask", "whoami"] = "ask"

    @classmethod
    def read(cls, payload: Any) -> "Invocation":
        """Return the valid body, or raise InvalidError."""
        try:
            asked = cls.model_validate(payload)
        except ValidationError as error:
            problems = error.errors(include_url=False, include_input=False, include_context=False)
            named = [f"{'.'.join(map(str, problem['loc'])) or 'body'}: {problem['msg']}" for problem in problems]
            raise InvalidError("; ".join(named)) from None
        if asked.action == "ask" and not asked.prompt.strip():
            raise InvalidError('The question is missing; send {"prompt": "…"}.')
        return asked

    @property
    def messages(self) -> list[Message]:
        """The earlier messages, in the form that Strands takes."""
        return [{"role": said.role, "content": [{"text": said.text}]} for said in self.history]


def bearer(request: Request | None) -> str:
    """Return the token of the one Authorization header (RFC 6750 section 2.1).

    Raises TokenMissingError when there is none, and InvalidError when there are two, or the
    token cannot be one.
    """
    # Not `context.request_headers`: of two headers it keeps the last, and the client may have meant the first.
    headers = request.headers.getlist("authorization") if request else []
    if len(headers) > 1:
        raise InvalidError("The request has more than one Authorization header; send one.")
    kind, _, token = (headers[0] if headers else "").partition(" ")
    if kind.lower() != "bearer" or not token.strip():
        raise TokenMissingError(
            "The access token is missing; send `Authorization: Bearer …`, "
            "and on AgentCore put Authorization on the runtime's header allow-list."
        )
    if not token.isascii():
        raise InvalidError("The access token has characters beyond ASCII; send it as the issuer made it.")
    return token.strip()


def check_session(session_id: str | None) -> None:
    """Raise InvalidError for a session id that AgentCore would refuse, so that a local run finds the mistake."""
    if session_id is not None and len(session_id) not in _SESSION_CHARACTERS:
        raise InvalidError("The session id must have 33 to 256 characters; join two UUIDs, for example.")
