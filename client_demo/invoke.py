"""Ask the agent on AgentCore Runtime, or a local one, from a terminal.

    python -m client_demo.invoke --arn ARN "How many claims were filed last week?"
    python -m client_demo.invoke --url http://127.0.0.1:8080 "How many claims were filed last week?"

The access token comes from TENANTGATE_TOKEN or, with --token-stdin, from standard input: every process on a machine can
read arguments. The answer goes to standard output, and the tool calls to standard error.
"""

import json
import os
import sys
import uuid
from collections.abc import Callable
from typing import Annotated, Final

import typer

from client_demo.agentcore_client import Event, arn_address, invoke, local_address
from client_demo.errors import AgentError, DemoError, TokenError

TOKEN_VARIABLE: Final = "TENANTGATE_TOKEN"  # noqa: S105  # a name, not a secret


def main(  # noqa: PLR0913, PLR0917  # a command line
    question: Annotated[str, typer.Argument(help="What to ask.")],
    arn: Annotated[str | None, typer.Option(help="The runtime's ARN.")] = None,
    url: Annotated[str | None, typer.Option(help="Instead: a runtime's own address, http on loopback only.")] = None,
    qualifier: Annotated[str, typer.Option(help="The runtime's endpoint.")] = "DEFAULT",
    session_id: Annotated[str | None, typer.Option(help="33 to 256 characters; default: a new one.")] = None,
    token_stdin: Annotated[bool, typer.Option("--token-stdin", help="Read the token from standard input.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print every event as one JSON line.")] = False,
) -> None:
    """Ask one question and print the answer as it arrives; exit code 1 when there is none."""
    if (arn is None) == (url is None):
        typer.echo("Pass exactly one of --arn and --url.", err=True)
        raise typer.Exit(2)
    # New for every call: AgentCore isolates each session from all others.
    session = session_id or f"{uuid.uuid4()}-{uuid.uuid4()}"
    try:
        address = arn_address(arn, qualifier) if arn is not None else local_address(str(url))
        for event in invoke(address, _token(from_stdin=token_stdin), session, {"prompt": question}):
            _print_json(event) if as_json else _PRINTERS.get(event["type"], _ignore)(event)
            if event["type"] == "error":
                raise AgentError(event["message"])
    except DemoError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None


def _token(*, from_stdin: bool) -> str:
    token = (sys.stdin.readline() if from_stdin else os.environ.get(TOKEN_VARIABLE, "")).strip()
    if not token:
        raise TokenError(f"The access token is missing; set {TOKEN_VARIABLE}, or pipe it in with --token-stdin.")
    return token


def _print_json(event: Event) -> None:
    typer.echo(json.dumps(event, ensure_ascii=False))


def _print_text(event: Event) -> None:
    typer.echo(_safe(event["text"]), nl=False)


def _print_call(event: Event) -> None:
    typer.echo(f"→ {event['name']} {json.dumps(event['arguments'])}", err=True)


def _print_result(event: Event) -> None:
    if event["is_error"]:
        typer.echo(f"← refused: {_safe(str(event['result']))}", err=True)


def _print_end(_event: Event) -> None:
    typer.echo()


def _print_answer(event: Event) -> None:
    """Print the answer of an agent that does not stream."""
    typer.echo(json.dumps(event["answer"], ensure_ascii=False, indent=2))


def _ignore(_event: Event) -> None:
    """Leave out an event that is of no use to a reader."""


def _safe(text: str) -> str:
    """Remove control characters: the text may quote a claim or a document."""
    return "".join(one for one in text if one.isprintable() or one in "\n\t")


_PRINTERS: Final[dict[str, Callable[[Event], None]]] = {
    "text": _print_text,
    "tool_call": _print_call,
    "tool_result": _print_result,
    "done": _print_end,
    "answer": _print_answer,
}

if __name__ == "__main__":
    typer.run(main)
