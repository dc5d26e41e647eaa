"""Errors of Retrieve: one sentence for the caller, and for the log the service's message without the question.

Source: the errors of the Retrieve operation in the Agents for Amazon Bedrock Runtime API.
"""

import re
from collections.abc import Sequence
from typing import Any, Final

import structlog
from botocore.exceptions import BotoCoreError, ClientError, ConnectionError, HTTPClientError, ParamValidationError  # noqa: A004

from server.documents.bedrock.bounded_exchange import AnswerTooLargeError, CallOverError
from server.documents.bedrock.service_message import without
from server.errors import MisconfiguredError, RefusedError, ToolError, UnavailableError

_BUSY: Final = "The document store is busy; nothing was read. Retry in a few seconds."
_DOWN: Final = "The document search is not available; nothing was read. Retry in a few seconds."
_STARTING: Final = "The document store is not ready yet; nothing was read. Retry in a few seconds."
_SLOW: Final = "The document search took too long; nothing was read. Retry, or ask for fewer passages."
_GARBLED: Final = (
    "The document store's answer could not be understood; nothing of it was used. Retry in a few seconds; "
    "if that does not help, tell your administrator."
)
_LARGE: Final = "The document store's answer was too large; nothing of it was used. Ask for fewer passages."
_MISCONFIGURED: Final = (
    "The document store does not accept this server's requests; nothing was read. A retry does not help; "
    "tell your administrator, who finds the reason in the server's log."
)
_GUARDED: Final = (
    "A guardrail of the document store withheld the answer to this question, so no passage is shown; "
    "that does not mean that there is none. Ask in other words; a retry with the same ones does not help."
)
_BUSY_CODES: Final = frozenset({"ThrottlingException", "ServiceQuotaExceededException"})
# 4xx errors that neither the caller nor the settings cause: the knowledge base changes, or the store behind it fails.
_PASSING_CODES: Final = frozenset({"ConflictException", "DependencyFailedException"})
# Texts of temporary failures in a ValidationException, from the store behind the knowledge base: Aurora and Redshift
# resume, a collection is created, a request times out. "Check the input and try again" is not temporary.
_PASSING_WORDS: Final = re.compile(
    r"resuming|resumed|auto-?paus|is paused|waking up|starting|warming up|please wait|wait (?:a few|before|and)"
    r"|temporar(?:y|ily)|timed?[ -]?out|timeout|communications? link failure|connection (?:reset|refused|closed)"
    r"|not (?:yet )?(?:ready|active)|being (?:created|updated|restored|modified)|unavailable|not available (?:now|yet)",
    re.IGNORECASE,
)
_BUSY_WORDS: Final = re.compile(r"too many (?:requests|connections)|throttl|rate exceeded|request rate", re.IGNORECASE)
_MANAGED_WORDS: Final = re.compile(r"managed knowledge base|managedSearchConfiguration", re.IGNORECASE)
_log: Final = structlog.get_logger("knowledge_base")


class RetrieveFailure(Exception):  # noqa: N818  # the cause of an error that is reported; never raised alone
    """What an operator may know of a failed call: the service's message, without the question that it may repeat."""


class ServiceError(Exception):
    """An error that the service returned: its code, HTTP status, and message without the question."""

    def __init__(self, error: ClientError, asked: Sequence[str]) -> None:
        """Read botocore's error; `asked` holds the texts that must not be logged."""
        response: Any = error.response
        about = response.get("ResponseMetadata", {})
        said = [response.get("Error", {}).get("Message"), response.get("resourceName"), response.get("reason")]
        self.code: Final[str] = response.get("Error", {}).get("Code", "")
        self.status: Final[int] = about.get("HTTPStatusCode", 0)
        self.message: Final = without("; ".join(text for text in said if isinstance(text, str) and text), asked)
        super().__init__(f"{self.code} {self.status} request {about.get('RequestId', '')}: {self.message}")

    @property
    def wants_managed_search(self) -> bool:
        """Whether the service says that this is a managed knowledge base, which needs another configuration."""
        return self.code == "ValidationException" and bool(_MANAGED_WORDS.search(self.message))


def reported(error: Exception) -> tuple[ToolError, RetrieveFailure]:
    """Return the error for the caller and its cause for the log; log a refusal of this server itself here too."""
    cause = RetrieveFailure(_named(error))
    match error:
        case TimeoutError() | CallOverError():
            answer: ToolError = UnavailableError(_SLOW)
        case AnswerTooLargeError():
            answer = UnavailableError(_LARGE)
        case ServiceError():
            answer = _reported_by_code(error)
        case HTTPClientError() | ConnectionError():
            answer = UnavailableError(_DOWN)
        case BotoCoreError():
            answer = MisconfiguredError(_MISCONFIGURED)
        case _:  # any error of botocore's parser for an invalid answer
            answer = UnavailableError(_GARBLED)
    if isinstance(answer, MisconfiguredError):
        _log.error("the knowledge base refuses the requests of this server", reason=str(cause))
    return answer, cause


def guarded() -> tuple[RefusedError, RetrieveFailure]:
    """Return the caller's error when a guardrail intervened, and its cause for the log."""
    return RefusedError(_GUARDED), RetrieveFailure("guardrailAction INTERVENED")


def _named(error: Exception) -> str:
    """Return the message of the service or of botocore."""
    if isinstance(error, ServiceError):
        return str(error)
    # Only botocore's parameter validation repeats what was sent.
    if isinstance(error, BotoCoreError) and not isinstance(error, ParamValidationError):
        return f"{type(error).__name__}: {error}"
    return type(error).__name__


def _reported_by_code(error: ServiceError) -> ToolError:
    if error.status == 429 or error.code in _BUSY_CODES:
        return _busy()
    if error.code in _PASSING_CODES or not 400 <= error.status < 500:
        return UnavailableError(_DOWN)
    if error.code == "ValidationException" and _BUSY_WORDS.search(error.message):
        return _busy()
    if error.code == "ValidationException" and _PASSING_WORDS.search(error.message):
        return UnavailableError(_STARTING)
    return MisconfiguredError(_MISCONFIGURED)


def _busy() -> UnavailableError:
    error = UnavailableError(_BUSY)
    error.is_throttled = True
    return error
