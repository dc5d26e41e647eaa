"""A request ends where both sides think: a second request hidden in its body is never run.

The oracle is the audit trail of a real origin: each hidden request carries the token of a person of its own.
"""

import shutil
import subprocess
from collections.abc import Generator
from pathlib import Path

import pytest
from support.desync import Origin, exchanged_all, origin, split_at_every_byte, statuses
from support.request_variants import HOST, UPGRADE, request

from server.dev.stack import Stack

JAVA_CLIENT = Path(__file__).parent / "OfferUpgrade.java"


@pytest.fixture(scope="module")
def server(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Generator[Origin]:
    with origin(stack, tmp_path_factory.mktemp("request-end")) as running:
        yield running


def test_a_request_hidden_in_a_body_is_never_run(server: Origin) -> None:
    """R141."""
    variants = server.variants("hidden")
    assert len(variants) >= 60
    # Head and body in two segments: what comes in one is another path through a parser.
    answers = exchanged_all(server.port, {name: (one.head, one.body) for name, one in variants.items()})
    whole = exchanged_all(server.port, {name: (one.whole,) for name, one in variants.items()})
    assert server.ran_of("hidden", variants) == []
    several = [name for name in variants if max(len(statuses(answers[name])), len(statuses(whole[name]))) > 1]
    assert several == []


def test_an_ambiguous_request_is_refused_and_its_connection_closed(server: Origin) -> None:
    variants = {name: one for name, one in server.variants("refused").items() if one.answered is False}
    ways: list[dict[str, tuple[bytes, ...]]] = [
        {name: (one.head, one.body) for name, one in variants.items()},
        {name: (one.whole,) for name, one in variants.items()},
    ]
    for sent in ways:
        answers = exchanged_all(server.port, sent)
        # A request that was answered by its head (401) and then turned out wrong gets no second answer.
        wrong = {
            name: answer
            for name, answer in answers.items()
            if statuses(answer) not in ([400], [401], []) or not answer.endswith(b"\0closed")
        }
        assert wrong == {}
        assert len([name for name, answer in answers.items() if statuses(answer) == [400]]) > 60


def test_upgrade_is_ignored_and_the_request_answered_once(server: Origin) -> None:
    variants = {name: one for name, one in server.variants("ignored").items() if one.answered}
    answers = exchanged_all(server.port, {name: (one.whole,) for name, one in variants.items()})
    assert {name: answer for name, answer in answers.items() if len(statuses(answer)) != 1} == {}
    assert [name for name, answer in answers.items() if statuses(answer) == [400]] == []


@pytest.mark.parametrize("which", ["Upgrade h2c", "Upgrade foo, chunks", "CONNECT /mcp, length", "TE, CL"])
def test_no_split_of_the_head_lets_a_hidden_request_out(server: Origin, which: str) -> None:
    answers = exchanged_all(server.port, split_at_every_byte(server.variants("cut")[which]))
    assert server.ran_of("cut", {which}) == []
    # None where the connection was closed before all of the request was taken.
    assert {name: answer for name, answer in answers.items() if len(statuses(answer)) > 1} == {}


def test_a_post_that_offers_h2c_is_simply_answered_however_it_is_cut(server: Origin) -> None:
    """As Java's client sends its first request of a connection."""
    offer = (
        "Connection: Upgrade, HTTP2-Settings",
        "HTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA",
        "Upgrade: h2c",
    )
    sent: dict[str, tuple[bytes, ...]] = {}
    for chunks in (False, True):
        one = server.request(f"java-{chunks}", *offer, chunks=chunks)
        body = one.index(b"\r\n\r\n") + 4
        sent |= {
            f"whole, chunks {chunks}": (one,),
            f"head and body, chunks {chunks}": (one[:body], one[body:]),
            f"a body in pieces, chunks {chunks}": (one[:body], *(one[at : at + 7] for at in range(body, len(one), 7))),
        }
    answers = exchanged_all(server.port, sent)
    assert {name: answer for name, answer in answers.items() if statuses(answer) != [200]} == {}
    byte_by_byte = {f"chunks {chunks}": server.request("java-slow", *offer, chunks=chunks) for chunks in (False, True)}
    pieces = {name: [bytes([byte]) for byte in one] for name, one in byte_by_byte.items()}
    assert [statuses(answer) for answer in exchanged_all(server.port, pieces).values()] == [[200], [200]]


def test_requests_in_one_segment_are_each_answered_once_in_their_order(server: Origin) -> None:
    offer = ("Connection: Upgrade", "Upgrade: h2c")
    first, second = server.request("in-first", *offer), server.request("in-second", *offer, chunks=True)
    get = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: foo\r\n\r\n"
    [answer] = exchanged_all(server.port, {"pipelined": (first + get + second + server.request("in-third"),)}).values()
    assert statuses(answer) == [200, 200, 200, 200]
    assert server.ran("in") == {"in-first", "in-second", "in-third"}
    assert answer.index(b"Healthy") > answer.index(b"structuredContent")


def test_the_last_request_of_a_connection_is_the_last_with_upgrade_too(server: Origin) -> None:
    last = server.request("last", "Connection: close, Upgrade", "Upgrade: h2c")
    [answer] = exchanged_all(server.port, {"closed": (last + server.request("after-the-last"),)}).values()
    assert statuses(answer) == [200]
    assert answer.endswith(b"\0closed")
    assert server.ran("after") == set()


def test_a_body_that_turns_out_wrong_gets_no_second_answer(server: Origin) -> None:
    """A proxy would take it for the answer to its next request, which may be another person's."""
    head = request(b"", "Transfer-Encoding: chunked", UPGRADE, name="late").head
    [answer] = exchanged_all(server.port, {"late": (head, b"1\r\nx\r\n", b"no size\r\n")}).values()
    assert statuses(answer) == [401]
    assert answer.endswith(b"\0closed")


@pytest.mark.skipif(shutil.which("java") is None, reason="needs Java (apt-get install default-jdk-headless)")
def test_a_real_java_client_is_answered(server: Origin) -> None:
    """It offers h2c with the first request of each connection, with a length and in chunks."""
    token = server.stack.issuer.mint("mike-broker-a")
    options = ("-XX:TieredStopAtLevel=1", "-Djdk.httpclient.allowRestrictedHeaders=host")
    done = subprocess.run(
        ["java", *options, JAVA_CLIENT, f"http://127.0.0.1:{server.port}/mcp", HOST, token],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.stdout.split() == ["200"] * 4, done.stdout + done.stderr
