"""InvokeAgentRuntime over HTTPS with a bearer token; the AWS SDK cannot send one, because it signs with SigV4.

    POST https://bedrock-agentcore.REGION.amazonaws.com/runtimes/URL-ENCODED-ARN/invocations?qualifier=DEFAULT
    Authorization: Bearer TOKEN
    X-Amzn-Bedrock-AgentCore-Runtime-Session-Id: 33 to 256 characters
    Accept: text/event-stream, application/json

A runtime on this machine takes the same request at http://127.0.0.1:8080/invocations.
"""

import json
import os
import re
from collections.abc import Iterable, Iterator
from typing import Any, Final
from urllib.parse import quote, urlencode, urlsplit

import httpx2

from client_demo.errors import AgentError, RefusedByServerError, TokenError

SESSION_HEADER: Final = "X-Amzn-Bedrock-AgentCore-Runtime-Session-Id"
# The AWS SDK's own variable: another address for only this service.
ENDPOINT_VARIABLE: Final = "AWS_ENDPOINT_URL_BEDROCK_AGENTCORE"
_ARN: Final = re.compile(r"arn:(aws|aws-cn|aws-us-gov):bedrock-agentcore:([a-z0-9-]+):\d{12}:runtime/[A-Za-z0-9_-]+")
_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})
# A model may think for a while between two events; AgentCore gives the whole request 15 minutes.
_TIMEOUT: Final = httpx2.Timeout(120, connect=10, write=10, pool=10)
_LONGEST_REASON: Final = 500
_REMEDIES: Final = {
    400: "The agent refused the request as malformed",
    401: "The access token was not accepted; sign in again, and check the runtime's discovery address and clients",
    403: "The access token is valid but is not allowed to do this; configure the runtime for JWT tokens, not SigV4",
    404: "The runtime or qualifier does not exist; correct the ARN, the region or --qualifier",
    424: "The agent failed; read its log group in CloudWatch",
    429: "Too many requests; wait and retry",
}

Event = dict[str, Any]


def arn_address(arn: str, qualifier: str) -> str:
    """Return the invocation address of a runtime's ARN; raise AgentError when it is not one."""
    match = _ARN.fullmatch(arn)
    if match is None:
        raise AgentError(
            f"{arn} is not the ARN of a runtime; write it as arn:aws:bedrock-agentcore:REGION:ACCOUNT:runtime/NAME."
        )
    suffix = "amazonaws.com.cn" if match[1] == "aws-cn" else "amazonaws.com"
    endpoint = os.environ.get(ENDPOINT_VARIABLE) or f"https://bedrock-agentcore.{match[2]}.{suffix}"
    # The ARN is one segment of the path, so its colons and its slash are encoded too.
    path = f"/runtimes/{quote(arn, safe='')}/invocations"
    return f"{endpoint.rstrip('/')}{path}?{urlencode({'qualifier': qualifier})}"


def local_address(url: str) -> str:
    """Return the invocation address of a runtime that serves AgentCore's HTTP contract at `url`."""
    return f"{url.rstrip('/')}/invocations"


def invoke(address: str, token: str, session_id: str, body: dict[str, Any]) -> Iterator[Event]:
    """Yield the agent's events as they arrive, or its one JSON answer as `{"type": "answer", "answer": …}`.

    Raises TokenError and RefusedByServerError for 401 and 403, AgentError for every other failure and for a stream that
    breaks.
    """
    _check(address, token)
    headers = {
        "Authorization": f"Bearer {token}",
        SESSION_HEADER: session_id,
        "Accept": "text/event-stream, application/json",
    }
    try:
        with (
            # A redirect would send the token to another address.
            httpx2.Client(timeout=_TIMEOUT, follow_redirects=False) as http,
            http.stream("POST", address, headers=headers, json=body) as response,
        ):
            if response.status_code != 200:
                raise _refused(response)
            if response.headers.get("content-type", "").startswith("text/event-stream"):
                yield from read_events(response.iter_lines())
            else:
                yield {"type": "answer", "answer": json.loads(response.read())}
    except httpx2.TimeoutException:
        raise AgentError("The agent did not answer in time; retry, or ask for less.") from None
    except httpx2.HTTPError as error:
        raise AgentError(
            f"{urlsplit(address).netloc} cannot be reached, or closed the connection: {error}; check the address and "
            "the network, then retry"
        ) from None
    except ValueError:
        raise AgentError("The agent's answer is not JSON; check that the address is that of a runtime.") from None


def read_events(lines: Iterable[str]) -> Iterator[Event]:
    """Yield the JSON of each server-sent event (WHATWG HTML section 9.2); AgentError when the last one is missing."""
    data: list[str] = []
    for line in lines:
        if line.startswith("data:"):
            data.append(line[5:].removeprefix(" "))
        elif not line and data:
            event: Event = json.loads("\n".join(data))
            data = []
            # BedrockAgentCoreApp's own message about a failed agent has no type.
            yield event if "type" in event else {"type": "error", "message": event.get("error", "The agent failed.")}
            if event.get("type") in {"done", "error"} or "error" in event:
                return
    raise AgentError("The answer ended too early; ask again.")


def _check(address: str, token: str) -> None:
    parts = urlsplit(address)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
        raise AgentError(f"{address} is not an https address; a bearer token is sent in the clear on loopback only.")
    if not token.isascii() or not token.isprintable() or " " in token or not token:
        raise TokenError("The access token is empty or contains characters that no token has; copy it again.")


def _refused(response: httpx2.Response) -> AgentError:
    """Return an error with the meaning of a status here, the remedy, and the service's own message."""
    status = response.status_code
    remedy = _REMEDIES.get(status) or f"The service failed with HTTP {status}; retry in a few seconds"
    reason = _reason(response.read())
    sentence = f"{remedy}: {reason}" if reason else f"{remedy}."
    return RefusedByServerError(status, sentence) if status in {401, 403} else AgentError(sentence)


def _reason(body: bytes) -> str:
    """Return the message in an error body: AgentCore calls it `message`, the runtime `error`."""
    try:
        said = json.loads(body)
        text = str(said.get("message") or said.get("Message") or said["error"])
    except (ValueError, KeyError, TypeError, AttributeError):
        text = body.decode("utf-8", "replace")
    # It is printed on a terminal: one line, without control characters.
    return "".join(one if one.isprintable() else " " for one in text.strip()[:_LONGEST_REASON])
