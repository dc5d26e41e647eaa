"""The person whose attempt it is, as the real server knows them: nothing here trusts the token itself."""

from dataclasses import dataclass, field
from typing import Any

import jwt

from client_demo.attempts.call import Reply, call_tool
from client_demo.errors import AgentError, RefusedByServerError


@dataclass(frozen=True, slots=True)
class Person:
    """A person whose token the server accepted; `tenant` is None when it refused them for want of one."""

    token: str = field(repr=False)
    subject: str
    issuer: str
    tenant: str | None
    tier: str | None
    admitted: Reply

    @property
    def claims(self) -> dict[str, Any]:
        """The claims of the token, which the server verified."""
        return jwt.decode(self.token, options={"verify_signature": False})


def identify(token: str, mcp_url: str) -> Person:
    """Ask the server who the caller is.

    Raises RefusedByServerError when the server does not accept the token, and AgentError when it does not answer.
    """
    reply = call_tool(mcp_url, token, "whoami", {})
    if reply.status == 401:
        raise RefusedByServerError(401, reply.text)
    if reply.status not in {200, 403}:
        raise AgentError(reply.text or f"The server answered HTTP {reply.status}.")
    # Neither 200 nor 403 comes before the token was verified.
    claims = jwt.decode(token, options={"verify_signature": False})
    known: dict[str, Any] = {} if reply.is_error else reply.data
    return Person(
        token=token,
        subject=str(claims.get("sub")),
        issuer=str(claims.get("iss")),
        tenant=known.get("tenant"),
        tier=known.get("tier"),
        admitted=reply,
    )
