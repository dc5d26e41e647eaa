"""What went wrong with Retrieve: one sentence for the caller, and a name without the question in it for the log."""

from typing import Any, Final

import structlog
from botocore.exceptions import BotoCoreError, ClientError, ConnectionError, HTTPClientError, ParamValidationError  # noqa: A004

from server.documents.bedrock.bounded_exchange import AnswerTooLargeError, CallOverError
from server.errors import MisconfiguredError, ToolError, UnavailableError

_BUSY: Final = "The document store is busy; nothing was read. Retry in a few seconds."
_DOWN: Final = "The document search is not available; nothing was read. Retry in a few seconds."
_SLOW: Final = "The document search took too long; nothing was read. Retry, or ask for fewer passages."
_GARBLED: Final = (
    "The document store's answer could not be understood; nothing of it was used. Retry in a few seconds; "
    "if it stays so, tell your administrator."
)
_LARGE: Final = "The document store's answer was too large; nothing of it was used. Ask for fewer passages."
_MISCONFIGURED: Final = (
    "The document store does not accept this server's requests; nothing was read. A retry does not help; "
    "tell your administrator, who finds the reason in the server's log."
)
_BUSY_CODES: Final = frozenset({"ThrottlingException", "ServiceQuotaExceededException"})
# 4xx that neither the caller nor the settings cause: the knowledge base changes, or the store behind it fails.
_PASSING_CODES: Final = frozenset({"ConflictException", "DependencyFailedException"})
_log: Final = structlog.get_logger("knowledge_base")


class RetrieveFailure(Exception):  # noqa: N818  # the cause of an error that is reported; never raised alone
    """What an operator may know of a failed call: never the service's message, which can repeat the question."""


def reported(error: Exception) -> ToolError:
    """Return what the caller reads; a refusal of this server itself is also logged for its operator."""
    match error:
        case TimeoutError() | CallOverError():
            answer: ToolError = UnavailableError(_SLOW)
        case AnswerTooLargeError():
            answer = UnavailableError(_LARGE)
        case ClientError():
            answer = _reported_by_code(*_identified(error)[:2])
        case HTTPClientError() | ConnectionError():
            answer = UnavailableError(_DOWN)
        case BotoCoreError():
            answer = MisconfiguredError(_MISCONFIGURED)
        case _:  # any error of botocore's parser about an answer that is not valid
            answer = UnavailableError(_GARBLED)
    if isinstance(answer, MisconfiguredError):
        _log.error("the knowledge base cannot be asked as configured", reason=named(error))
    return answer


def named(error: Exception) -> str:
    """Return the name of a failure: the service's error code, HTTP status and request id, or botocore's own words."""
    if isinstance(error, ClientError):
        code, status, request_id = _identified(error)
        return f"{code} {status} request {request_id}"
    # Its validation alone repeats what was sent.
    if isinstance(error, BotoCoreError) and not isinstance(error, ParamValidationError):
        return f"{type(error).__name__}: {error}"
    return type(error).__name__


def _reported_by_code(code: str, status: int) -> ToolError:
    if status == 429 or code in _BUSY_CODES:
        return UnavailableError(_BUSY)
    if code in _PASSING_CODES or not 400 <= status < 500:
        return UnavailableError(_DOWN)
    return MisconfiguredError(_MISCONFIGURED)


def _identified(error: Any) -> tuple[str, int, str]:
    about = error.response.get("ResponseMetadata", {})
    return error.response.get("Error", {}).get("Code", ""), about.get("HTTPStatusCode", 0), about.get("RequestId", "")
