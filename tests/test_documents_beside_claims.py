"""Slow documents do not slow claims: the event loop never waits for the store."""

import statistics
import threading
import time
from collections.abc import Iterator

import pytest
from conftest import ACCEPT
from support.listening import serving
from support.scripted_store import answer, scripted_store, wait

from server.dev.stack import Stack
from server.documents.store import SEARCHES_AT_ONCE

PASSAGE = {"content": {"text": "x"}, "metadata": {"tier": "regular"}}
SLOW_SECONDS = 1.5


@pytest.fixture
def beside(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a server whose document store takes its time."""
    with scripted_store(wait(SLOW_SECONDS, answer({"retrievalResults": [PASSAGE]}))) as store:
        monkeypatch.setenv("AWS_ENDPOINT_URL_BEDROCK_AGENT_RUNTIME", store.url)
        with serving(stack.settings) as running:
            yield f"{running.url}/mcp"


def test_claims_are_answered_at_once_while_searches_use_every_place_of_the_tenant(beside, caller, http):
    headers = {"authorization": f"Bearer {caller('john-regular').token}", "accept": ACCEPT}

    def call(tool, **arguments):
        """Return the seconds that a call of this tool takes."""
        body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": tool, "arguments": arguments}}
        started = time.monotonic()
        response = http.post(beside, json=body, headers=headers)
        assert "structuredContent" in response.json()["result"], response.text
        return time.monotonic() - started

    # The first waits until isolation is proved on this store, which takes several of its answers.
    assert call("search_policies", query="deductible") > 0
    quiet = [call("query_claims") for _ in range(50)]
    searches = []
    threads = [
        threading.Thread(target=lambda: searches.append(call("search_policies", query="deductible")))
        # Three quarters of all places: one more search would have to wait.
        for _ in range(SEARCHES_AT_ONCE * 3 // 4)
    ]
    for thread in threads:
        thread.start()
    time.sleep(0.3)
    busy = []
    while not searches:
        busy.append(call("query_claims"))
    for thread in threads:
        thread.join()
    assert len(searches) == len(threads)
    # All at once, not one after the other; and the claims in between wait for none of them.
    assert SLOW_SECONDS <= min(searches) <= max(searches) < 2 * SLOW_SECONDS
    assert len(busy) > 20
    assert statistics.median(busy) < 1.5 * statistics.median(quiet) + 0.01
    assert max(busy) < SLOW_SECONDS / 2


def test_without_a_document_store_there_is_no_tool_for_it(stack, caller, http):
    headers = {"authorization": f"Bearer {caller('john-regular').token}", "accept": ACCEPT}
    with serving(stack.settings.model_copy(update={"documents": None})) as running:
        listed = http.post(
            f"{running.url}/mcp", json={"jsonrpc": "2.0", "id": 1, "method": "tools/list"}, headers=headers
        ).json()
        call = {"name": "search_policies", "arguments": {"query": "x"}}
        body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call}
        unknown = http.post(f"{running.url}/mcp", json=body, headers=headers).json()
    assert "search_policies" not in {tool["name"] for tool in listed["result"]["tools"]}
    assert unknown["error"]["message"].startswith("Unknown tool 'search_policies'. Use one of: ")
