"""The command that asks the agent on AgentCore: what goes over the wire, what comes back, what each failure says."""

import json
import os
import subprocess
import sys
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from support.listening import listening

from client_demo.agentcore_client import arn_address, invoke, read_events
from client_demo.errors import AgentError, RefusedByServerError, TokenError
from client_demo.runtime import create_runtime
from client_demo.scenario import LAST_WEEK

pytestmark = [
    pytest.mark.filterwarnings("ignore:coroutine 'MCPClient.stop:RuntimeWarning"),
    pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning"),
]

ARN = "arn:aws:bedrock-agentcore:eu-west-1:123456789012:runtime/claims_agent-Ab1Cd2Ef3G"
TOKEN = "header.payload.signature"
ANSWER: list[dict[str, object]] = [
    {"type": "start", "model": "a model"},
    {"type": "tool_call", "id": "1", "name": "summarize_claims", "arguments": {"period": "last_week"}},
    {"type": "tool_result", "id": "1", "is_error": False, "result": {}},
    {"type": "text", "text": "2 claims"},
    {"type": "text", "text": " were filed.\x1b[2J"},
    {"type": "done"},
]


def stream(events: Iterable[dict[str, object]]) -> Response:
    """Answer as BedrockAgentCoreApp streams."""
    return StreamingResponse((f"data: {json.dumps(event)}\n\n" for event in events), media_type="text/event-stream")


@contextmanager
def agentcore(answer: Response) -> Generator[tuple[str, list[tuple[Request, bytes]]]]:
    """Play AgentCore's endpoint: yield its address and the requests that it gets."""
    received: list[tuple[Request, bytes]] = []

    async def endpoint(request: Request) -> Response:
        received.append((request, await request.body()))
        return answer

    app = Starlette(routes=[Route("/{path:path}", endpoint, methods=["GET", "POST"])])
    with listening(app) as running:
        yield running.url, received


def command(*arguments: str, token: str | None = TOKEN, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command with the token in the environment, as a person would."""
    variables = {**os.environ, **environment} | ({"TENANTGATE_TOKEN": token} if token else {})
    return subprocess.run(
        [sys.executable, "-m", "client_demo.invoke", *arguments],
        env=variables,
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        input="",
    )


def test_the_request_is_the_one_that_agentcore_documents():
    with agentcore(stream(ANSWER)) as (address, received):
        done = command("--arn", ARN, "--qualifier", "PROD", LAST_WEEK, AWS_ENDPOINT_URL_BEDROCK_AGENTCORE=address)
    assert done.returncode == 0, done.stderr
    [(request, body)] = received
    assert request.method == "POST"
    assert request.scope["raw_path"] == (
        b"/runtimes/arn%3Aaws%3Abedrock-agentcore%3Aeu-west-1%3A123456789012%3Aruntime%2Fclaims_agent-Ab1Cd2Ef3G/invocations"
    )
    assert request.scope["query_string"] == b"qualifier=PROD"
    assert request.headers.getlist("authorization") == [f"Bearer {TOKEN}"]
    assert request.headers["content-type"] == "application/json"
    assert request.headers["accept"] == "text/event-stream, application/json"
    assert 33 <= len(request.headers["x-amzn-bedrock-agentcore-runtime-session-id"]) <= 256
    assert json.loads(body) == {"prompt": LAST_WEEK}


def test_the_answer_and_what_led_to_it_are_two_streams():
    with agentcore(stream(ANSWER)) as (address, _):
        done = command("--url", address, LAST_WEEK)
    # R93: what would steer a terminal is dropped.
    assert done.stdout == "2 claims were filed.[2J\n"
    assert done.stderr == '→ summarize_claims {"period": "last_week"}\n'


def test_every_event_is_one_json_line_for_programs():
    with agentcore(stream(ANSWER)) as (address, _):
        done = command("--url", address, "--json", LAST_WEEK)
    assert [json.loads(line) for line in done.stdout.splitlines()] == ANSWER


def test_two_calls_are_two_sessions_and_a_given_one_is_kept():
    with agentcore(stream(ANSWER)) as (address, received):
        command("--url", address, LAST_WEEK)
    with agentcore(stream(ANSWER)) as (address, more):
        command("--url", address, "--session-id", "s" * 33, LAST_WEEK)
    sessions = [request.headers["x-amzn-bedrock-agentcore-runtime-session-id"] for request, _ in [*received, *more]]
    assert sessions[0] != sessions[1] == "s" * 33


def test_the_token_may_come_from_standard_input_and_never_from_an_argument():
    with agentcore(stream(ANSWER)) as (address, received):
        subprocess.run(
            [sys.executable, "-m", "client_demo.invoke", "--url", address, "--token-stdin", LAST_WEEK],
            cwd=Path(__file__).parents[1],
            input="from.standard.input\n",
            text=True,
            check=True,
            capture_output=True,
            timeout=60,
        )
    assert received[0][0].headers["authorization"] == "Bearer from.standard.input"
    shown = command("--help").stdout
    assert "--token-stdin" in shown
    assert "--token " not in shown


def test_the_real_runtime_answers_the_same_command(stack):
    with listening(create_runtime(stack.addresses.mcp_url)) as running:
        done = command("--url", running.url, LAST_WEEK, token=stack.issuer.mint("emma-broker-b"))
        refused = command("--url", running.url, LAST_WEEK, token=stack.issuer.mint("emma-broker-b", lifetime_s=-1))
    assert done.stdout.startswith("1 claim was filed last week")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "has expired; sign in again" in refused.stderr


@pytest.mark.parametrize(
    ("status", "body", "kind", "says"),
    [
        (
            401,
            {"message": "Claim 'client_id' mismatch"},
            RefusedByServerError,
            r"sign in again.*: Claim 'client_id' mismatch",
        ),
        (403, {"message": "denied"}, RefusedByServerError, r"SigV4.*: denied"),
        (404, {"message": "No endpoint"}, AgentError, r"correct the ARN, the region or --qualifier: No endpoint"),
        (429, {"message": "Slow down"}, AgentError, r"wait and retry: Slow down"),
        (500, "<html>broken</html>", AgentError, r"HTTP 500; retry in a few seconds: .*broken"),
        (503, {"error": "The MCP server is down"}, AgentError, r"HTTP 503; retry.*: The MCP server is down"),
        (307, {}, AgentError, r"HTTP 307"),
    ],
)
def test_each_status_says_what_to_do(status, body, kind, says):
    answer = JSONResponse(body, status, {"location": "http://127.0.0.1:1/elsewhere"})
    with agentcore(answer) as (address, received), pytest.raises(kind, match=says):
        list(invoke(f"{address}/invocations", TOKEN, "s" * 33, {"prompt": LAST_WEEK}))
    # A redirect is not followed: it would carry the token to another address.
    assert len(received) == 1


def test_an_answer_without_a_stream_is_taken_whole():
    with agentcore(JSONResponse({"result": "2 claims"})) as (address, _):
        [event] = invoke(f"{address}/invocations", TOKEN, "s" * 33, {"prompt": LAST_WEEK})
    assert event == {"type": "answer", "answer": {"result": "2 claims"}}


def test_an_agent_that_fails_half_way_is_a_failure_of_the_command():
    with agentcore(stream([ANSWER[0], {"type": "error", "message": "The model is gone."}])) as (address, _):
        done = command("--url", address, LAST_WEEK)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "The model is gone.\n")


def test_a_stream_that_breaks_off_is_not_taken_for_an_answer():
    with pytest.raises(AgentError, match="ended too early"):
        list(read_events(['data: {"type": "text", "text": "2 cl"}', ""]))


def test_the_runtime_packages_own_error_event_is_understood():
    said = 'data: {"error": "boom", "error_type": "KeyError", "message": "An error occurred during streaming"}'
    assert list(read_events([said, ""])) == [{"type": "error", "message": "boom"}]


def test_a_refused_connection_is_one_clear_sentence():
    with pytest.raises(AgentError, match=r"127\.0\.0\.1:1 cannot be reached"):
        list(invoke("http://127.0.0.1:1/invocations", TOKEN, "s" * 33, {}))


def test_a_token_is_never_sent_in_the_clear_to_another_machine():
    with pytest.raises(AgentError, match="not an https address"):
        list(invoke("http://agent.example.com/invocations", TOKEN, "s" * 33, {}))


@pytest.mark.parametrize("token", ["", "two words", "line\nbreak", "pässword"])
def test_characters_that_no_token_has_are_not_sent(token):
    with pytest.raises(TokenError, match="copy it again"):
        list(invoke("http://127.0.0.1:1/invocations", token, "s" * 33, {}))


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        ((LAST_WEEK,), 2, "Pass exactly one of --arn and --url."),
        (("--arn", ARN, "--url", "http://127.0.0.1:1", LAST_WEEK), 2, "Pass exactly one of --arn and --url."),
        (("--arn", "arn:aws:lambda:eu-west-1:123456789012:function:f", LAST_WEEK), 1, "is not the ARN of a runtime"),
    ],
)
def test_wrong_usage_names_the_remedy(arguments, code, says):
    done = command(*arguments)
    assert done.returncode == code
    assert says in done.stderr


def test_a_missing_token_says_where_it_is_looked_for():
    done = command("--url", "http://127.0.0.1:1", LAST_WEEK, token=None, TENANTGATE_TOKEN="")
    assert done.returncode == 1
    assert "set TENANTGATE_TOKEN, or pipe it in with --token-stdin" in done.stderr


@pytest.mark.parametrize(
    ("arn", "host"),
    [
        (ARN, "https://bedrock-agentcore.eu-west-1.amazonaws.com"),
        (ARN.replace("aws:", "aws-cn:", 1), "https://bedrock-agentcore.eu-west-1.amazonaws.com.cn"),
    ],
)
def test_the_address_is_that_of_the_arns_region_and_partition(monkeypatch, arn, host):
    monkeypatch.delenv("AWS_ENDPOINT_URL_BEDROCK_AGENTCORE", raising=False)
    assert arn_address(arn, "DEFAULT").startswith(f"{host}/runtimes/arn%3A")
