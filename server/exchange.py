"""One HTTP exchange as the gate and the protocol share it: who calls, what to log, and how it ends."""

from dataclasses import dataclass, field
from typing import Any, Final

from anyio import CancelScope
from starlette.types import Scope

from server.auth.access_token import AccessToken
from server.errors import ForbiddenError, LimitError

_KEY: Final = "tenantgate.exchange"


@dataclass(slots=True)
class Exchange:
    """Made by the gate for each verified request; the protocol fills in what only it learns.

    `refusal` turns the response into a 403 or 429; `cancellation` ends the tool call when the client leaves.
    """

    token: AccessToken
    cancellation: CancelScope = field(default_factory=CancelScope)
    refusal: ForbiddenError | LimitError | None = None
    record: dict[str, Any] = field(default_factory=dict[str, Any])

    def attached(self, scope: Scope) -> Scope:
        """Return a copy of an ASGI scope that carries this exchange."""
        return {**scope, _KEY: self}

    @staticmethod
    def of(scope: Any) -> "Exchange":
        """Return the exchange of an ASGI scope; KeyError when the gate was bypassed, so that nothing runs."""
        return scope[_KEY]
