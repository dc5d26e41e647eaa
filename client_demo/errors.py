"""The errors that the demo raises on purpose.

DemoError
├── AgentError                 the agent could not answer; the message says why and what to do
│   ├── TokenError             the access token cannot be used: missing, malformed or expired; nothing was sent
│   └── RefusedByServerError   the server refused the person: HTTP 401 or 403, in the server's own words
└── ServerError                the development server did not start or does not answer
"""


class DemoError(Exception):
    """The root: one sentence that can be shown to a person."""


class AgentError(DemoError):
    """The agent could not answer; it made nothing up."""


class TokenError(AgentError):
    """There is no usable access token; nothing was sent, and signing in again helps."""


class RefusedByServerError(AgentError):
    """The server refused the person before any tool ran; `status` is 401 or 403."""

    def __init__(self, status: int, reason: str) -> None:
        """Keep the server's own message, which says what to do next."""
        super().__init__(reason)
        self.status = status


class ServerError(DemoError):
    """The development server did not start, stopped, or does not know the person."""
