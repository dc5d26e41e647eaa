"""Documents are searched after the store was seen to keep tiers apart; while it is away, the other tools answer."""

import asyncio
import contextlib
import json
import time
from typing import Any

import pytest
from conftest import ACCEPT
from support import listening
from support.logs import own_logs
from support.scripted_store import always, answer, scripted_store
from support.searching import credentials as credentials  # noqa: PLC0414  # a fixture
from test_document_store import LIBRARY, SHELVES, TIERS, AbsentStore, MemoryStore, MisbehavingStore, RawStore, found
from test_documents_proofs import SHARED, storing

from server.doctor import proving_documents as module
from server.doctor.document_proofs import prove_documents
from server.doctor.proving_documents import proving_documents
from server.documents.proved_store import ProvedStore, Verdict
from server.documents.store import Condition
from server.errors import MisconfiguredError, ToolError, UnavailableError, WithheldError
from server.settings import Settings

REGULAR, PLATINUM = (Condition("tier", (tier,)) for tier in TIERS)
NOT_YET = "The isolation of the documents is not proved yet; nothing was read. Retry in a few seconds."
OK = Verdict()


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_RETRY_S", "_LEAKING_S", "_REPEAT_S"):
        monkeypatch.setattr(module, name, 0.1)


def came_to(store: ProvedStore, condition=REGULAR, query="a question"):
    """Return the texts that one search finds, or its error."""
    try:
        return [one.text for one in asyncio.run(store.search(query, (condition,), 5))]
    except ToolError as error:
        return error


def test_a_store_is_not_searched_before_there_is_a_verdict():
    """R123."""
    memory = MemoryStore(LIBRARY)
    error = came_to(ProvedStore(memory, 0.05))
    assert (type(error), str(error)) == (UnavailableError, NOT_YET)
    assert memory.asked == []


def test_a_search_waits_for_the_first_verdict():
    async def run():
        store = ProvedStore(MemoryStore(LIBRARY), 30)
        searching = asyncio.create_task(store.search("a question", (REGULAR,), 5))
        await asyncio.sleep(0)
        assert not searching.done()
        store.judge(OK)
        return [one.text for one in await searching]

    assert asyncio.run(run())[0] == "regular"


def test_a_caller_reads_why_no_proof_could_be_made():
    memory = MemoryStore(LIBRARY)
    store = ProvedStore(memory, 1)
    failure = MisconfiguredError("Not with these rights.")
    failure.__cause__ = KeyError("a reason for the log")
    store.judge(Verdict(failure))
    errors = [came_to(store), came_to(store)]
    assert errors[0] is not errors[1]
    for error in errors:
        assert isinstance(error, MisconfiguredError)
        assert (str(error), error.__cause__) == (str(failure), failure.__cause__)
    assert memory.asked == []
    store.judge(OK)
    assert came_to(store) == ["regular", "regular guide", "canary regular"]


def test_a_store_that_does_not_answer_has_not_lost_its_isolation():
    store = ProvedStore(MemoryStore(LIBRARY), 1)
    store.judge(OK)
    store.judge(Verdict(UnavailableError("away")))
    assert store.proved
    assert isinstance(came_to(store), list)


def test_a_tier_that_leaks_is_not_searched_until_a_proof_holds_again():
    """R123."""
    store = ProvedStore(RawStore(LIBRARY), 1)
    store.judge(Verdict(leaking=frozenset({"platinum"})))
    assert isinstance(came_to(store, PLATINUM), WithheldError)
    assert isinstance(came_to(store, REGULAR), list)
    # That nobody answers mends nothing.
    store.judge(Verdict(UnavailableError("away")))
    assert isinstance(came_to(store, PLATINUM), WithheldError)
    store.judge(OK)
    assert isinstance(came_to(store, PLATINUM), list)


def proof_of(store, isolate_by=("tier",), **options):
    return asyncio.run(prove_documents(store, isolate_by, TIERS, **options))


def test_a_proof_says_which_tiers_leak_and_a_mislabelled_document_is_no_leak():
    """A document of one tenant beside documents for all is a mistake of labels; the store filters as it was asked."""
    assert proof_of(MemoryStore(LIBRARY)).leaking == frozenset()
    assert tuple(sorted(proof_of(MisbehavingStore(LIBRARY)).leaking & set(TIERS), reverse=True)) == TIERS
    mislabelled = proof_of(MemoryStore([*LIBRARY, found("b's", tier="regular", tenant_id="b")]))
    assert (mislabelled.leaking, bool(mislabelled.filters)) == (frozenset(), True)
    one_sided = proof_of(RawStore([found("x", tier="regular")]))
    assert "platinum" in one_sided.leaking
    assert "regular" not in one_sided.leaking


def test_a_proof_looks_as_no_more_tenants_than_it_was_asked_to():
    """Each search of a knowledge base is paid for."""
    by_tenant = ("tier", "tenant_id")
    # One for canaries; two each for two tiers, a stranger and the tenants.
    assert proof_of(MemoryStore(SHELVES), by_tenant).searches == 1 + 2 * (3 + 4)
    assert proof_of(MemoryStore(SHELVES), by_tenant, tenants=1).searches == 1 + 2 * (3 + 1)
    assert proof_of(AbsentStore([])).searches == 1


def settings(**documents: Any) -> Settings:
    known = {"knowledge_base_id": "ABCDEFGHIJ", "region": "eu-west-1", **documents}
    return Settings.model_validate({"tenancy": {"tiers": TIERS}, "documents": known})


def test_the_result_of_a_proof_is_logged_once_and_again_when_it_changes():
    """R123: the same store as the log tells of it, sound, leaking, away, and sound again."""
    memory = MemoryStore(LIBRARY)
    store = ProvedStore(memory, 1)

    async def until(condition):
        deadline = time.monotonic() + 30
        while not condition():
            assert time.monotonic() < deadline, "it did not come about"
            await asyncio.sleep(0.02)

    def told(event):
        return [one.get("check", "") for one in logs if event in one["event"]]

    async def run():
        async with proving_documents(store, settings()):
            await until(lambda: store.proved)
            await asyncio.sleep(1)
            assert len(told("isolation is proved on the documents")) == 1
            memory.documents = LIBRARY[:4]
            await until(lambda: "documents_canaries" in told("isolation is not proved on the documents"))
            assert store.proved
            store.unproved = RawStore(LIBRARY)  # pyright: ignore[reportAttributeAccessIssue]
            await until(lambda: not store.proved)
            store.unproved = memory  # pyright: ignore[reportAttributeAccessIssue]
            await until(lambda: store.proved)

    with own_logs() as logs:
        asyncio.run(run())
    assert told("isolation is not proved on the documents").count("documents_filter") == 1


def test_an_error_in_the_proof_proves_nothing():
    class BrokenStore(MemoryStore):
        async def search(self, query, conditions, limit):
            raise RuntimeError("a secret detail")

    store = ProvedStore(BrokenStore([]), 5)

    async def run():
        async with proving_documents(store, settings()):
            with pytest.raises(UnavailableError, match="could not be proved") as error:
                await store.search("a question", (REGULAR,), 5)
            assert "secret" not in str(error.value)

    asyncio.run(run())


def test_without_documents_there_is_nothing_to_prove():
    async def run():
        async with proving_documents(None, settings().model_copy(update={"documents": None})):
            pass

    asyncio.run(run())


@contextlib.contextmanager
def serving(stack, monkeypatch, handler):
    """Serve in front of a scripted knowledge base; yields a function that calls a tool and returns text and failure."""
    with scripted_store(handler) as store:
        monkeypatch.setenv("AWS_ENDPOINT_URL_BEDROCK_AGENT_RUNTIME", store.url)
        with listening.serving(stack.settings) as running:
            yield f"{running.url}/mcp"


def call(http, url, token, tool, **arguments):
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": tool, "arguments": arguments}}
    response = http.post(url, json=body, headers={"authorization": f"Bearer {token}", "accept": ACCEPT})
    result = response.json()["result"]
    return result["isError"], result["content"][0]["text"]


def test_a_knowledge_base_that_is_away_at_the_start_stops_no_other_tool(stack, caller, http, monkeypatch):
    """R123: its own answer is that of an outage, and it is searched when it is back and proved."""
    john = caller("john-regular").token
    behaviour = [always(answer({"message": "no"}, 503))]

    def handle(connection, body):
        behaviour[0](connection, body)

    with serving(stack, monkeypatch, handle) as url:
        assert not call(http, url, john, "query_claims")[0]
        failed, text = call(http, url, john, "search_policies", query="deductible")
        assert failed
        assert "Retry" in text
        behaviour[0] = storing([*SHARED, {"tier": "regular"}])
        deadline = time.monotonic() + 60
        while (said := call(http, url, john, "search_policies", query="deductible"))[0]:
            assert time.monotonic() < deadline, said
            time.sleep(0.05)
        assert len(json.loads(said[1])["passages"]) == 1


def test_a_knowledge_base_that_ignores_the_filter_is_not_searched_and_stops_no_other_tool(
    stack, caller, http, monkeypatch
):
    """R123."""
    asked: list[str] = []
    leaking = storing([*SHARED, {"tier": "regular"}, {"tier": "platinum"}], ignoring=("tier",))

    def handle(connection, body):
        asked.append(body["retrievalQuery"]["text"])
        leaking(connection, body)

    john = caller("john-regular").token
    with serving(stack, monkeypatch, handle) as url:
        failed, text = call(http, url, john, "search_policies", query="deductible")
        assert failed
        assert text.startswith("The document store did not keep tiers and tenants apart when this was proved")
        assert not call(http, url, john, "query_claims")[0]
    assert set(asked) == {"tenantgate canary"}
