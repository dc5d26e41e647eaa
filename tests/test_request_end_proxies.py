"""Behind nginx and HAProxy no one's request ends in another's answer: the origin runs what the proxy sent as a request.

Connections to the origin are kept alive and shared by all clients, which is what makes a hidden request dangerous. With
`sendfile on` and bodies over 16 KB nginx writes head and body apart: with smaller ones the fault never shows.
"""

import json
from collections.abc import Generator, Sequence

import pytest
from support.desync import Origin, exchanged_all, origin, statuses
from support.proxies import haproxy, installed, nginx

from server.dev.stack import Stack

PADDING = 17_000
RUNNING = {"nginx": nginx, "haproxy": haproxy}
# The recipe for WebSockets that many files have, in place of ours.
RECIPE = {
    'proxy_set_header Connection "";': 'proxy_set_header Connection "upgrade";',
    'proxy_set_header Upgrade "";': "proxy_set_header Upgrade $http_upgrade;",
}
PLAIN = {
    "http-request del-header Upgrade": "",
    "http-request wait-for-body time 10s": "",
    "http-request deny deny_status 400 if METH_CONNECT": "",
    "http-reuse safe": "http-reuse always",
}
CASES = {
    "nginx": ("nginx", {}),
    "nginx with the recipe for WebSockets": ("nginx", RECIPE),
    "HAProxy": ("haproxy", {}),
    "HAProxy without our rules": ("haproxy", PLAIN),
}


@pytest.fixture(scope="module")
def server(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Generator[Origin]:
    with origin(stack, tmp_path_factory.mktemp("behind-proxies")) as running:
        yield running


@pytest.mark.parametrize("case", CASES)
def test_the_origin_runs_only_what_the_proxy_sent_as_a_request(server: Origin, tmp_path, case: str) -> None:
    """R141."""
    name, changed = CASES[case]
    if installed(name) is None:
        pytest.skip(f"needs {name} (apt-get install {name})")
    prefix = f"hidden{list(CASES).index(case)}"
    variants = server.variants(prefix, PADDING)
    people = [f"{prefix}person-{number}" for number in range(60)]
    sent: dict[str, Sequence[bytes]] = {}
    for number, (variant, one) in enumerate(variants.items()):
        sent[variant] = (one.whole,)
        # People use the shared connections between the attacks.
        if number < len(people):
            sent[people[number]] = (server.request(people[number]),)
    with RUNNING[name](server.port, tmp_path, changed) as proxy:
        answers = exchanged_all(proxy.port, sent, proxy.tls)
        unseen = [hidden for hidden in server.ran(prefix) if not proxy.asked(hidden)]
    assert unseen == []
    for person in people:
        assert statuses(answers[person]) == [200]
        assert (
            json.loads(answers[person].partition(b"\r\n\r\n")[2].removesuffix(b"\0closed"))["result"][
                "structuredContent"
            ]["subject"]
            == person
        )
    assert server.ran(f"{prefix}person") == set(people)


@pytest.mark.parametrize("name", RUNNING)
def test_a_proxy_with_our_file_passes_right_requests_on(server: Origin, tmp_path, name: str) -> None:
    if installed(name) is None:
        pytest.skip(f"needs {name} (apt-get install {name})")
    offer = ("Connection: Upgrade, HTTP2-Settings", "HTTP2-Settings: AAMAAABk", "Upgrade: h2c")
    with RUNNING[name](server.port, tmp_path) as proxy:
        sent = {
            "plain": (server.request("plain-1"),),
            "offers h2c": (server.request("offers-1", *offer),),
            "chunks": (server.request("chunks-1", *offer, chunks=True),),
            "a long head": (server.request("long-1", f"X-Long: {'x' * 9_000}"),),
        }
        answers = exchanged_all(proxy.port, sent, proxy.tls)
    assert {name: statuses(answer) for name, answer in answers.items()} == {name: [200] for name in sent}
