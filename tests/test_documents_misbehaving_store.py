"""A document store that misbehaves never leads to a foreign passage or a hang; the genuine boto3 client in front."""

import asyncio
import contextlib
import resource
import socket
import threading
import time

import pytest
from support.scripted_store import always, answer, drip, scripted_store, wait
from support.searching import OWN, OWN_PASSAGE, REGULAR, at, documents, in_s3, labelled, page, search
from support.searching import credentials as credentials  # noqa: PLC0414  # a fixture
from support.timed import timed

from server.documents.tenant_documents import Passage, TenantDocuments
from server.errors import LimitError, MisconfiguredError, RefusedError, SettingsError, UnavailableError, WithheldError
from server.fair_queue import WAITING
from server.tenancy.context import TenantContext

BUSY = "The document store is busy; nothing was read. Retry in a few seconds."
DOWN = "The document search is not available; nothing was read. Retry in a few seconds."
SLOW = "The document search took too long; nothing was read. Retry, or ask for fewer passages."
GARBLED = (
    "The document store's answer could not be understood; nothing of it was used. Retry in a few seconds; "
    "if that does not help, tell your administrator."
)
LARGE = "The document store's answer was too large; nothing of it was used. Ask for fewer passages."
MISCONFIGURED = (
    "The document store does not accept this server's requests; nothing was read. A retry does not help; "
    "tell your administrator, who finds the reason in the server's log."
)
WITHHELD = (
    "The document store returned a passage outside what you may see, so the whole answer was withheld. "
    "A retry does not help; report this to your administrator."
)


FOREIGN = {
    "of another tier": labelled(tier="platinum"),
    "of another tier beside the own": labelled(tier="platinum", also="regular"),
    "without the label": labelled(document_type="policy"),
    "with no label at all": labelled(),
    "without metadata": {"content": {"text": "x"}},
    "with null for metadata": {**OWN, "metadata": None},
    "with a list for a tier": labelled(tier=["regular"]),
    "with an object for a tier": labelled(tier={"equals": "regular"}),
    "with a number for a tier": labelled(tier=1),
    "with true for a tier": labelled(tier=True),
    "with null for a tier": labelled(tier=None),
    "with another case": labelled(tier="Regular"),
    "with white space": labelled(tier="regular "),
    "with a look-alike": labelled(tier="regulаr"),  # noqa: RUF001  # a Cyrillic letter
    "with another key": labelled(Tier="regular"),
}


@pytest.mark.parametrize("foreign", FOREIGN.values(), ids=FOREIGN)
@pytest.mark.parametrize("place", [0, 1])
def test_one_passage_that_is_not_the_callers_drops_the_whole_answer(monkeypatch, capsys, foreign, place):
    """R98, R99."""
    results = [OWN, OWN]
    results[place] = foreign
    with pytest.raises(WithheldError) as withheld:
        search(monkeypatch, always(page(*results)))
    assert str(withheld.value) == WITHHELD
    assert "security: the document store returned a passage outside" in capsys.readouterr().out


BY_TENANT = ["tier", "tenant_id"]


FOREIGN_TENANTS = [
    *("broker-b", "", " ", "**", "* ", "BROKER-A", "broker-a ", "broker-a,broker-b", "null"),
    *([], ["*"], ["broker-a"], ["broker-b"], ["broker-a", "broker-b"], {}, {"equals": "broker-a"}),
    *(None, 5, 0, 5.0, True, False),
]


@pytest.mark.parametrize("tenant", FOREIGN_TENANTS, ids=repr)
@pytest.mark.parametrize("isolate_by", [["tier"], BY_TENANT], ids=["by tier", "by tenant"])
def test_a_passage_of_another_tenant_of_the_same_tier_drops_the_whole_answer(monkeypatch, tenant, isolate_by):
    """R120: whatever the setting documents.isolate_by says."""
    with pytest.raises(WithheldError) as withheld:
        search(monkeypatch, always(page(OWN, labelled(tier="regular", tenant_id=tenant))), isolate_by=isolate_by)
    assert str(withheld.value) == WITHHELD


@pytest.mark.parametrize("key", ["Tenant_ID", "TENANT_ID", " tenant_id", "tenant_id "])
@pytest.mark.parametrize("isolate_by", [["tier"], BY_TENANT], ids=["by tier", "by tenant"])
def test_a_tenant_in_another_spelling_of_the_label_is_foreign_too(monkeypatch, key, isolate_by):
    """R120: whoever wrote it meant one tenant, also beside a label of the caller's own."""
    for labels in ({key: "broker-b"}, {"tenant_id": "broker-a", key: "broker-b"}):
        with pytest.raises(WithheldError):
            search(monkeypatch, always(page(labelled(tier="regular", **labels))), isolate_by=isolate_by)
    own = labelled(tier="regular", tenant_id="broker-a", **{key: "broker-a"})
    assert len(search(monkeypatch, always(page(own)), isolate_by=isolate_by)[0]) == 1


def test_a_passage_that_names_no_tenant_is_returned_where_tenants_do_not_isolate(monkeypatch):
    found, _ = search(monkeypatch, always(page(labelled(tier="regular"))))
    assert [passage.labels for passage in found] == [{"tier": "regular"}]


def test_a_passage_for_every_tenant_of_the_tier_is_returned(monkeypatch):
    shared = labelled(tier="regular", tenant_id="*")
    found, requests = search(monkeypatch, always(page(OWN, shared)), isolate_by=BY_TENANT)
    assert [passage.labels["tenant_id"] for passage in found] == ["broker-a", "*"]
    asked = requests[0]["retrievalConfiguration"]["vectorSearchConfiguration"]["filter"]
    assert asked == {
        "andAll": [
            {"equals": {"key": "tier", "value": "regular"}},
            {"in": {"key": "tenant_id", "value": ["broker-a", "*"]}},
        ]
    }


def test_a_foreign_passage_on_a_later_page_or_beyond_the_limit_drops_the_whole_answer(monkeypatch):
    later = (page(OWN, nextToken="more"), page(labelled(tier="platinum")))
    for answers, limit in ((later, 5), ((page(OWN, labelled(tier="platinum")),), 1)):
        with pytest.raises(WithheldError):
            search(monkeypatch, always(*answers), limit)


MALFORMED = {
    "garbage": b"<html>502 Bad Gateway</html>",
    "half of it": answer({"retrievalResults": [OWN]})[200:-20],
    "nothing": b"",
    "null": b"null",
    "a list": b"[]",
    "no results": b"{}",
    "null for results": b'{"retrievalResults": null}',
    "a text for results": b'{"retrievalResults": "abc"}',
    "an object for results": b'{"retrievalResults": {"tier": "regular"}}',
    "numbers for results": b'{"retrievalResults": [1, 2]}',
    "nulls for results": b'{"retrievalResults": [null]}',
    "a list for metadata": {"retrievalResults": [{**OWN, "metadata": ["tier"]}]},
    "a text for content": {"retrievalResults": [{**OWN, "content": "own"}]},
    "a text for a score": {"retrievalResults": [{**OWN, "score": "high"}]},
    "a number for a place": {"retrievalResults": [{**OWN, "location": 5}]},
    "not utf-8": b"\xff\xfe{}",
    "deep nesting": b'{"retrievalResults":' + b"[" * 100_000,
}


@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_answer_is_an_outage_and_not_an_empty_answer(monkeypatch, body):
    """R101."""
    with pytest.raises(UnavailableError) as garbled:
        search(monkeypatch, always(answer(body)))
    assert str(garbled.value) == GARBLED


def test_wrong_types_that_can_be_left_out_are_left_out(monkeypatch):
    """R93."""
    odd = {
        "content": {"text": "own"},
        "location": {"type": "WEB", "webLocation": {"url": "https://x.example/a%20b.html?q=1"}},
        "score": float("inf"),
        "metadata": {
            **REGULAR,
            "_id": "x",
            "x-amz-bedrock-kb-chunk-id": "y",
            "none": None,
            "deep": {"a": 1},
            "no": [1],
        },
    }
    textless = {"content": {"type": "IMAGE", "byteContent": "aGk="}, "metadata": REGULAR}
    numbered = {"content": {"text": 5}, "metadata": REGULAR}
    bracketed = {**OWN, "location": {"type": "WEB", "webLocation": {"url": "https://[x"}}, "score": float("nan")}
    found, _ = search(monkeypatch, always(page(odd, textless, numbered, bracketed)))
    assert found == [Passage("own", "a b.html", None, REGULAR), Passage("own", "unnamed document", None, REGULAR)]


PAGES = [(12.0, 12), (1, 1), (0, 0), (12.5, None), (-1, None), ("12", None), (True, None), (None, None), (1e300, None)]


@pytest.mark.parametrize(("sent", "number"), PAGES)
def test_the_page_of_a_passage_is_an_integer_when_it_is_known(monkeypatch, sent, number):
    found, _ = search(monkeypatch, always(page(labelled(**REGULAR, **{PAGE: sent}))))
    assert found == [Passage("own", "a.md", 0.5, REGULAR, number)]


PAGE = "x-amz-bedrock-kb-document-page-number"


def test_numbers_that_no_float_can_hold_are_left_out(monkeypatch):
    huge = labelled(**REGULAR, year=10**400, **{PAGE: 10**400})
    assert search(monkeypatch, always(page(huge)))[0] == [OWN_PASSAGE]


NAMES = {
    "one document": (["s3://docs/auto/policy.md"] * 2, ["policy.md"] * 2),
    "different file names": (["s3://docs/auto/a.md", "s3://docs/home/b.md"], ["a.md", "b.md"]),
    "one file name": (
        ["s3://docs/auto/policy.md", "s3://docs/home/policy.md", "s3://docs/c.md"],
        ["auto/policy.md", "home/policy.md", "c.md"],
    ),
    "one folder name too": (
        ["s3://docs/a/x/policy.md", "s3://docs/b/x/policy.md", "s3://docs/b/y/policy.md"],
        ["a/x/policy.md", "b/x/policy.md", "y/policy.md"],
    ),
    "one above the other": (["s3://docs/policy.md", "s3://docs/auto/policy.md"], ["docs/policy.md", "auto/policy.md"]),
    "two buckets": (["s3://one/policy.md", "s3://two/policy.md"], ["one/policy.md", "two/policy.md"]),
    "escaped": (["s3://docs/a%20b/c%20d.md", "s3://docs/e/c%20d.md"], ["a b/c d.md", "e/c d.md"]),
}


@pytest.mark.parametrize(("uris", "names"), NAMES.values(), ids=NAMES)
def test_documents_of_one_name_are_shown_with_their_path_and_others_keep_their_file_name(monkeypatch, uris, names):
    found, _ = search(monkeypatch, always(page(*map(in_s3, uris))))
    assert [passage.document for passage in found] == names


def test_only_the_returned_passages_decide_how_much_of_a_path_is_shown(monkeypatch):
    """Neither a canary nor a passage beyond the limit changes a name."""
    canary = {**in_s3("s3://docs/x/policy.md"), "metadata": {**REGULAR, "document_type": "tenantgate-canary"}}
    results = (in_s3("s3://docs/auto/policy.md"), canary, in_s3("s3://docs/home/policy.md"))
    assert [one.document for one in search(monkeypatch, always(page(*results)), limit=1)[0]] == ["policy.md"]


SOURCES = {
    "a web page": (at(type="WEB", webLocation={"url": "https://x.example/a/b.html?q=1#part"}), "b.html"),
    "a web page with a password": (at(type="WEB", webLocation={"url": "https://me:secret@x.example/b.html"}), "b.html"),
    "a folder": (at(type="WEB", webLocation={"url": "https://x.example/a/"}), "a"),
    "a host alone": (at(type="WEB", webLocation={"url": "https://x.example"}), "unnamed document"),
    "an id of one's own": (at(type="CUSTOM", customDocumentLocation={"id": "guide-7"}), "guide-7"),
    "an id of the store": ({**OWN, "location": {}, "documentId": "D7"}, "D7"),
}


@pytest.mark.parametrize(("result", "name"), SOURCES.values(), ids=SOURCES)
def test_a_document_has_a_name_whichever_source_it_came_from(monkeypatch, result, name):
    assert [one.document for one in search(monkeypatch, always(page(result)))[0]] == [name]


def test_a_password_in_an_address_is_never_part_of_a_name(monkeypatch):
    addresses = "https://me:secret@x.example/b.html", "https://y.example/b.html"
    found, _ = search(monkeypatch, always(page(*(at(type="WEB", webLocation={"url": one}) for one in addresses))))
    assert [passage.document for passage in found] == ["x.example/b.html", "y.example/b.html"]


def test_nothing_found_is_an_empty_answer(monkeypatch):
    assert search(monkeypatch, always(page()))[0] == []


def test_canaries_are_never_returned(monkeypatch):
    canary = labelled(tier="regular", document_type="tenantgate-canary")
    found, requests = search(monkeypatch, always(page(canary, OWN)), limit=1)
    assert found == [OWN_PASSAGE]
    assert requests[0]["retrievalConfiguration"]["vectorSearchConfiguration"]["numberOfResults"] == 2


def test_partial_pages_are_followed_until_there_is_enough(monkeypatch):
    answers = page(OWN, nextToken="1"), page(nextToken="2"), page(OWN, OWN, OWN, nextToken="3")
    found, requests = search(monkeypatch, always(*answers), limit=3)
    assert found == [OWN_PASSAGE] * 3
    assert [request.get("nextToken") for request in requests] == [None, "1", "2"]
    assert len({str(request["retrievalConfiguration"]) for request in requests}) == 1


def test_pages_without_end_are_an_outage_when_empty_and_cut_off_when_not(monkeypatch):
    with pytest.raises(UnavailableError) as garbled:
        search(monkeypatch, always(page(nextToken="again")))
    assert str(garbled.value) == GARBLED
    found, requests = search(monkeypatch, always(page(OWN, nextToken="again")), limit=20)
    assert (len(found), len(requests)) == (10, 10)


def test_results_beyond_the_limit_are_cut_off(monkeypatch):
    assert len(search(monkeypatch, always(page(*[OWN] * 30)))[0]) == 5


REFUSALS = [
    (429, "ThrottlingException", UnavailableError, BUSY, 3),
    (400, "ServiceQuotaExceededException", UnavailableError, BUSY, 1),
    (500, "InternalServerException", UnavailableError, DOWN, 3),
    (502, "BadGatewayException", UnavailableError, DOWN, 3),
    (503, "", UnavailableError, DOWN, 3),
    (424, "DependencyFailedException", UnavailableError, DOWN, 1),
    (409, "ConflictException", UnavailableError, DOWN, 1),
    (302, "", UnavailableError, DOWN, 1),
    (403, "AccessDeniedException", MisconfiguredError, MISCONFIGURED, 1),
    (404, "ResourceNotFoundException", MisconfiguredError, MISCONFIGURED, 1),
    (400, "ValidationException", MisconfiguredError, MISCONFIGURED, 1),
    (403, "ExpiredTokenException", MisconfiguredError, MISCONFIGURED, 1),
    (403, "UnrecognizedClientException", MisconfiguredError, MISCONFIGURED, 1),
]


@pytest.mark.parametrize(("status", "code", "error", "text", "attempts"), REFUSALS)
def test_each_failure_says_whether_a_retry_helps(monkeypatch, capsys, status, code, error, text, attempts):
    """R101: the operator reads the code in the log, the caller neither it nor the service's message."""
    counted = []
    refusal = answer({"message": "the secret deductible"}, status, code)

    def refuse(connection, body):
        counted.append(body)
        connection.sendall(refusal)

    with pytest.raises(error) as reported:
        search(monkeypatch, refuse, timeout_ms=10_000)
    assert (str(reported.value), type(reported.value)) == (text, error)
    assert len(counted) == attempts
    logged = capsys.readouterr().out + repr(reported.value.__cause__)
    assert "deductible" not in logged
    assert code in logged


def test_the_filter_is_the_same_in_every_attempt(monkeypatch):
    failures = [answer(b"{}", 500, "InternalServerException")] * 2
    found, requests = search(monkeypatch, always(*failures, page(OWN)))
    assert found == [OWN_PASSAGE]
    assert requests[0] == requests[1] == requests[2]
    assert requests[0]["retrievalConfiguration"]["vectorSearchConfiguration"]["filter"] == {
        "equals": {"key": "tier", "value": "regular"}
    }


def test_attempts_and_retry_mode_are_settings(monkeypatch):
    with pytest.raises(UnavailableError):
        search(monkeypatch, always(answer(b"{}", 500)), max_attempts=1, retry_mode="adaptive")


HANGS = {
    "silence": wait(30, b""),
    "a head that never ends": drip(b"HTTP/1.1 200 x\r\nx: "),
    "a body that never ends": drip(b"HTTP/1.1 200 x\r\ncontent-length: 1000000\r\n\r\n{"),
    "chunks without end": drip(b"HTTP/1.1 200 x\r\ntransfer-encoding: chunked\r\n\r\n"),
}


@timed
@pytest.mark.parametrize("hang", list(HANGS)[1:])
def test_an_answer_that_does_not_end_is_given_up_at_the_deadline_and_its_thread_is_free(monkeypatch, hang):
    with scripted_store(HANGS[hang]) as store, documents(monkeypatch, store.url, timeout_ms=300) as (tenant, opened):

        async def ask():
            started = time.monotonic()
            with pytest.raises(UnavailableError) as slow:
                await tenant.search("deductible", 5)
            return str(slow.value), time.monotonic() - started

        text, seconds = asyncio.run(ask())
        assert text == SLOW
        assert 0.25 < seconds < 0.8
        assert threads_free_within(opened, 1)


def threads_free_within(opened, seconds):
    pool = opened._threads
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if pool._idle_semaphore._value == len(pool._threads):
            return True
        time.sleep(0.01)
    return False


def test_hanging_calls_do_not_use_up_the_threads(monkeypatch):
    """Twice as many hanging calls as there are threads, and the next call is answered at once."""
    hanging = threading.Event()

    def handle(connection, _body):
        if hanging.is_set():
            connection.sendall(page(OWN))
        else:
            drip(b"HTTP/1.1 200 x\r\nx: ")(connection, {})

    with scripted_store(handle) as store, documents(monkeypatch, store.url, timeout_ms=500) as (tenant, opened):

        async def ask():
            many = await asyncio.gather(*(tenant.search("x", 5) for _ in range(64)), return_exceptions=True)
            assert {str(one) for one in many} == {SLOW}
            hanging.set()
            return await tenant.search("x", 5)

        assert asyncio.run(ask()) == [OWN_PASSAGE]
        # One tenant has 24 places; a thread whose search was broken off may still be ending when the next begins.
        assert 24 <= len(opened._threads._threads) <= 48


def test_searches_of_one_tenant_leave_places_for_another(monkeypatch):
    """R161: however many calls one tenant has waiting for the store, and however long they take."""
    hanging = threading.Event()

    def handle(connection, _body):
        hanging.wait(20)
        connection.sendall(page(OWN))

    def answered_at_once(connection, body):
        (connection.sendall(page()) if body["retrievalQuery"]["text"] == "quick" else handle(connection, body))

    with scripted_store(answered_at_once) as store, documents(monkeypatch, store.url, timeout_ms=20_000) as (a, opened):
        b = TenantDocuments(opened, ("tier",), TenantContext("broker-b", "regular", None), a._places)  # pyright: ignore[reportArgumentType]

        async def ask():
            many = [asyncio.create_task(a.search("slow", 5)) for _ in range(200)]
            await asyncio.sleep(0)
            refused = [one for one in many if one.done()]
            assert {type(one.exception()) for one in refused} <= {LimitError}
            assert len(many) - len(refused) <= 24 + WAITING
            assert await b.search("quick", 5) == []
            assert sum(not one.done() for one in many) >= 24
            hanging.set()
            await asyncio.gather(*many, return_exceptions=True)

        asyncio.run(ask())


@timed
def test_a_caller_that_leaves_frees_the_thread(monkeypatch):
    """R28."""
    with scripted_store(drip(b"HTTP/1.1 200 x\r\nx: ")) as store, documents(monkeypatch, store.url) as (tenant, opened):

        async def leave():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.2):
                    await tenant.search("x", 5)

        asyncio.run(leave())
        assert threads_free_within(opened, 1)


@timed
def test_the_deadline_covers_the_retries(monkeypatch):
    started = time.monotonic()
    with pytest.raises(UnavailableError) as slow:
        search(monkeypatch, wait(0.4, answer(b"{}", 500)), timeout_ms=700, max_attempts=10)
    assert str(slow.value) == SLOW
    assert time.monotonic() - started < 3.5  # ten attempts would take four seconds and more


@pytest.mark.parametrize("head", [b"content-length: 20000000", b"transfer-encoding: chunked"])
def test_twenty_megabytes_are_not_read(monkeypatch, head):
    sent = []

    def flood(connection, _body):
        connection.sendall(b"HTTP/1.1 200 x\r\n" + head + b"\r\n\r\n")
        part = b"x" * 100_000
        framed = b"%x\r\n%s\r\n" % (len(part), part) if b"chunked" in head else part
        for _ in range(200):
            connection.sendall(framed)
            sent.append(len(part))

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(UnavailableError) as large:
        search(monkeypatch, flood)
    assert str(large.value) == LARGE
    assert sum(sent) < 12_000_000  # what was read and what lay in the socket's buffers
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 40 * 1024


def test_a_connection_that_is_closed_without_an_answer_is_an_outage(monkeypatch):
    def hang_up(connection, _body):
        connection.shutdown(socket.SHUT_RDWR)

    with pytest.raises(UnavailableError) as down:
        search(monkeypatch, hang_up)
    assert str(down.value) == DOWN


def test_a_store_that_does_not_listen_is_an_outage(monkeypatch):
    with documents(monkeypatch, "http://127.0.0.1:9") as (tenant, _), pytest.raises(UnavailableError) as down:
        asyncio.run(tenant.search("x", 5))
    assert str(down.value) == DOWN


def test_without_a_tier_nothing_is_asked(monkeypatch):
    with scripted_store(always(page(OWN))) as store, documents(monkeypatch, store.url, None) as (tenant, _):
        with pytest.raises(RefusedError):
            asyncio.run(tenant.search("x", 5))
        assert store.requests == []


def test_missing_credentials_are_the_operators_business(monkeypatch, capsys):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, "/nonexistent")
    with pytest.raises(MisconfiguredError) as reported:
        search(monkeypatch, always(page(OWN)))
    assert str(reported.value) == MISCONFIGURED
    assert "NoCredentialsError" in capsys.readouterr().out


def test_a_missing_region_stops_the_start(monkeypatch):
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    with pytest.raises(SettingsError, match=r"documents.*region"), documents(monkeypatch, "http://x", region=None):
        pass


def test_search_type_and_reranking_are_settings(monkeypatch):
    arn = "arn:aws:bedrock:eu-west-1::foundation-model/cohere.rerank-v3-5:0"
    _, requests = search(monkeypatch, always(page(OWN)), search_type="HYBRID", reranking_model_arn=arn)
    assert requests[0]["retrievalConfiguration"]["vectorSearchConfiguration"] == {
        "numberOfResults": 24,
        "overrideSearchType": "HYBRID",
        "filter": {"equals": {"key": "tier", "value": "regular"}},
        "rerankingConfiguration": {
            "type": "BEDROCK_RERANKING_MODEL",
            "bedrockRerankingConfiguration": {
                "modelConfiguration": {"modelArn": arn},
                "numberOfRerankedResults": 6,
            },
        },
    }


@timed
def test_the_event_loop_is_not_blocked_while_the_store_is_slow(monkeypatch):
    """R101: as many calls as one tenant has places, half a second each, and the loop's own timer stays on time."""
    with scripted_store(wait(0.5, page(OWN))) as store, documents(monkeypatch, store.url) as (tenant, _):

        async def ask():
            delays = []

            async def tick():
                while True:
                    started = time.monotonic()
                    await asyncio.sleep(0.005)
                    delays.append(time.monotonic() - started - 0.005)

            ticking = asyncio.create_task(tick())
            started = time.monotonic()
            found = await asyncio.gather(*(tenant.search("x", 5) for _ in range(24)))
            seconds = time.monotonic() - started
            ticking.cancel()
            return found, seconds, sorted(delays)

        found, seconds, delays = asyncio.run(ask())
    assert found == [[OWN_PASSAGE]] * 24
    assert seconds < 1.5
    assert delays[int(len(delays) * 0.9)] < 0.05
