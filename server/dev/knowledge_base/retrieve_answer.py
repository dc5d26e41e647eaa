"""Answers in Bedrock's form: a request id in every header, the type of an error in `x-amzn-errortype`."""

import uuid
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final, Literal, TypeAlias

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

ErrorType: TypeAlias = Literal[
    "ValidationException",
    "ResourceNotFoundException",
    "ThrottlingException",
    "InternalServerException",
    "RequestEntityTooLargeException",
    "UnknownOperationException",
]


class RetrieveError(Exception):
    """An error answer: `type` is sent in the header x-amzn-errortype, the message in the body."""

    def __init__(self, error_type: ErrorType, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.type: ErrorType = error_type
        self.status = status


def answer_json(content: dict[str, Any], status: int = 200, error_type: ErrorType | None = None) -> Response:
    """Return the JSON answer with a request id, and with the error's type if it is an error."""
    headers = {"x-amzn-requestid": str(uuid.uuid4())}
    if error_type:
        headers["x-amzn-errortype"] = error_type
    return JSONResponse(content, status, headers)


async def _refused(_: Request, error: RetrieveError) -> Response:
    return answer_json({"message": str(error)}, error.status, error.type)


async def _unknown_operation(_: Request, error: HTTPException) -> Response:
    response = answer_json(
        {"message": HTTPStatus(error.status_code).phrase}, error.status_code, "UnknownOperationException"
    )
    response.headers.update(error.headers or {})
    return response


async def _failed(_: Request, __: Exception) -> Response:
    return answer_json({"message": "An internal server error occurred."}, 500, "InternalServerException")


EXCEPTION_HANDLERS: Final[Mapping[Any, Any]] = {
    RetrieveError: _refused,
    HTTPException: _unknown_operation,
    Exception: _failed,
}
