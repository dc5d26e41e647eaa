"""Budgets that several processes count together in a Valkey or Redis server, and what holds while it is away."""

import asyncio
import signal
import ssl
import sys
import threading
import time
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from pydantic import SecretStr, ValidationError
from support.issuer import Issuer
from support.logs import own_logs
from support.real_server import beside
from support.store import Store, running_store
from support.timed import timed
from test_tls_of_the_database import certificate

from server.auth.access_token import AccessToken
from server.errors import LimitError, SettingsError
from server.settings import LimitsSettings
from server.tenancy.limits import Limits
from server.tenancy.shared_budgets import AWAY_S, SharedBudgets

CALL = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "whoami", "arguments": {}}}


def person(name: str = "mike") -> AccessToken:
    return AccessToken("https://idp.example.com", name, "client", frozenset(), 0, {})


@pytest.fixture
def store(tmp_path: Path) -> Generator[Store]:
    with running_store(tmp_path / "store") as running:
        yield running


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the store have all the time that a busy machine takes: these tests are about the count."""
    monkeypatch.setattr("server.tenancy.shared_budgets.ANSWER_S", 20.0)


def settings(url: str, of_person: int = 3_000, of_tenant: int = 12_000) -> LimitsSettings:
    return LimitsSettings(
        store=SecretStr(url), calls_per_minute_per_person=of_person, calls_per_minute_per_tenant=of_tenant
    )


@asynccontextmanager
async def opened(url: str, *budgets: int, deployment: str = "a") -> AsyncGenerator[Limits]:
    limits = Limits(settings(url, *budgets), deployment)
    await limits.open()
    try:
        yield limits
    finally:
        await limits.close()


def shared(limits: Limits) -> SharedBudgets:
    assert limits.shared is not None
    return limits.shared


async def admitted(times: int, ask: Callable[[], Awaitable[None]]) -> int:
    """Ask so many times at once; return how often it was admitted."""

    async def one() -> bool:
        try:
            await ask()
        except LimitError as error:
            waits.add(error.retry_after_s)
            return False
        return True

    waits = set[int]()
    count = sum(await asyncio.gather(*(one() for _ in range(times))))
    assert all(1 <= wait_s <= 60 for wait_s in waits)
    return count


async def until(reached: Callable[[], bool], within_s: float = 30) -> None:
    deadline = time.monotonic() + within_s
    while not reached():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


def in_threads(*replicas: Coroutine[Any, Any, int]) -> list[int]:
    """Run each replica on an event loop of its own."""
    with ThreadPoolExecutor(len(replicas)) as threads:
        return list(threads.map(asyncio.run, replicas))


@pytest.mark.usefixtures("patient")
def test_r210_replicas_admit_exactly_one_budget_together(store) -> None:
    """R210: of persons and of tenants, whoever asks; a body counts by its size, and what did not run is given back."""
    begin = threading.Barrier(2)

    async def replica(number: int) -> int:
        async with opened(store.url, 500, 700) as limits:
            begin.wait()
            mikes = await admitted(400, lambda: limits.admit(person()))
            # 64 KiB count 15 times more: 20 such bodies use up 300.
            begin.wait()
            emmas = await admitted(30, lambda: limits.weigh(person("emma"), b" " * 65_536))
            tenants = await admitted(300, lambda: limits.charge("broker-a"))
            for _ in range(25):
                await limits.refund("broker-a")
            # What was given back is sent before what is asked next.
            await limits.charge("broker-b")
            begin.wait()
            tenants += await admitted(600, lambda: limits.charge("broker-a"))
            assert (shared(limits).failures, shared(limits).counted_locally) == (0, 0)
            return 10**6 * mikes + 10**3 * emmas + tenants

    counted = sum(in_threads(replica(0), replica(1)))
    mikes, emmas, tenants = counted // 10**6, counted // 10**3 % 10**3, counted % 10**3
    assert (mikes, emmas, tenants) == (500, 34, 750)


@pytest.mark.usefixtures("patient")
def test_r210_each_person_tenant_and_deployment_has_a_count_of_its_own(store) -> None:
    """R210, R213: and the store learns no name."""

    async def run() -> None:
        async with opened(store.url, 2, 2) as limits, opened(store.url, 2, 2, deployment="b") as elsewhere:
            for one in (limits, elsewhere):
                for name in ("mike", "emma", "broker-a"):
                    assert await admitted(3, lambda one=one, name=name: one.admit(person(name))) == 2
                    assert await admitted(3, lambda one=one, name=name: one.charge(name)) == 2

    asyncio.run(run())
    from valkey import Valkey

    with Valkey(port=store.port) as client:
        names = {bytes(name).decode() for name in client.scan_iter()}  # pyright: ignore[reportArgumentType]
        assert len(names) == 13
        assert all(0 < client.pttl(name) <= 60_000 for name in names)  # pyright: ignore[reportOperatorIssue]
    assert not [name for name in names if any(word in name for word in ("mike", "emma", "broker", "idp"))]


@pytest.mark.usefixtures("patient")
def test_r211_without_the_store_each_process_limits_on_its_own_until_it_is_back(store) -> None:
    """R211: a start without it, its end by SIGKILL, and its return."""

    async def run() -> None:
        async with opened(store.url, 10) as limits:
            assert shared(limits).is_shared
            assert await admitted(7, lambda: limits.admit(person())) == 7
            store.kill()
            # Those that were under way, and all that follow, are judged here.
            assert await admitted(14, lambda: limits.admit(person())) == 10
            assert not shared(limits).is_shared
            async with opened(store.url, 10) as late:
                assert not shared(late).is_shared
                assert await admitted(11, lambda: late.admit(person())) == 10
                assert shared(late).counted_locally == 11
                store.start()
                await until(lambda: shared(limits).is_shared and shared(late).is_shared)
                assert await admitted(6, lambda: limits.admit(person())) == 6
                assert await admitted(6, lambda: late.admit(person())) == 4
                assert shared(late).counted_locally == 11

    with own_logs() as lines:
        asyncio.run(run())
    said = [line["event"] for line in lines]
    assert said.count("the limits store does not answer; until it does, each process counts on its own") == 2
    assert said.count("the limits store answers again; limits are shared") == 2
    assert len(said) == 4


@timed
def test_r211_an_answer_that_came_while_the_event_loop_was_held_is_in_time(store) -> None:
    """R211: so that a busy process does not take its own delay for the store's."""

    async def run() -> None:
        async with opened(store.url, 10) as limits:
            store.signal(signal.SIGSTOP)
            asking = asyncio.create_task(limits.admit(person()))
            # Until it was sent.
            await asyncio.sleep(0.02)
            store.signal(signal.SIGCONT)
            time.sleep(0.5)  # noqa: ASYNC251  # holds the loop
            await asking
            assert (shared(limits).failures, shared(limits).counted_locally) == (0, 0)

    asyncio.run(run())


@timed
def test_r211_no_request_waits_for_a_store_that_hangs(store) -> None:
    """R211: but those that were under way when it stopped, and these for a quarter of a second."""

    async def run() -> None:
        took: list[float] = []

        async def ask() -> None:
            began = time.monotonic()
            await limits.admit(person())
            took.append(time.monotonic() - began)

        async with opened(store.url, 10**6) as limits:
            store.signal(signal.SIGSTOP)
            assert await admitted(10, ask) == 10
            assert max(took) < 5 * 0.25
            took.clear()
            ended = time.monotonic() + 2.5 * AWAY_S
            while time.monotonic() < ended:
                await ask()
                await asyncio.sleep(0.01)
            # Meanwhile it was tried twice.
            assert max(took) < 5 * 0.02
            assert shared(limits).failures >= 2
            store.signal(signal.SIGCONT)
            await until(lambda: shared(limits).is_shared)
            before = shared(limits).counted_locally
            await ask()
            assert shared(limits).counted_locally == before

    asyncio.run(run())


@pytest.mark.parametrize("options", [("--maxmemory", "1"), ("--requirepass", "s3cr3t")], ids=["full", "locked"])
def test_r211_a_store_that_refuses_is_away(tmp_path, options) -> None:
    """R211, R213: the log says why, and has no password."""

    async def run(url: str) -> None:
        async with opened(url, 10) as limits:
            assert not shared(limits).is_shared
            assert await admitted(11, lambda: limits.admit(person())) == 10

    with running_store(tmp_path / "store", *options) as store, own_logs() as lines:
        asyncio.run(run(store.url.replace("//", "//:wr0ng@") if "s3cr3t" in options else store.url))
    (line,) = lines
    assert ("OutOfMemory" if "1" in options else "invalid username-password") in line["cause"]
    assert "wr0ng" not in str(line)


def test_r211_a_store_that_lost_its_scripts_is_given_them_again(store) -> None:
    """R211."""
    from valkey import Valkey

    async def run() -> None:
        async with opened(store.url, 10) as limits:
            with Valkey(port=store.port) as client:
                client.script_flush()
            await limits.admit(person())
            await until(lambda: shared(limits).is_shared)
            assert await admitted(11, lambda: limits.admit(person())) == 10

    asyncio.run(run())


@timed
def test_r212_the_store_is_reached_with_a_password_by_a_socket_and_by_tls(tmp_path) -> None:
    """R212: and by TLS only where the certificate is verified and has the name."""

    async def counts(url: str) -> bool:
        async with opened(url, 1) as limits:
            if not shared(limits).is_shared:
                return False
            try:
                await limits.admit(person())
            except LimitError:
                return True
            return await counts(url)

    async def run(store: Store, folder: Path, authority: Path) -> None:
        async def relay(near: asyncio.StreamReader, to_near: asyncio.StreamWriter) -> None:
            far, to_far = await asyncio.open_connection("127.0.0.1", store.port)
            await asyncio.gather(carried(near, to_far), carried(far, to_near))

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "server.crt", folder / "server.key")
        async with await asyncio.start_server(relay, "0.0.0.0", 0, ssl=context) as encrypted:
            port = encrypted.sockets[0].getsockname()[1]
            password = ":p%40ss"
            assert await counts(f"redis://{password}@127.0.0.1:{store.port}/3")
            assert await counts(f"unix://{password}@{store.socket}?db=2")
            assert await counts(f"valkey://tenantgate{password}@127.0.0.1:{store.port}/4")
            assert await counts(f"valkeys://{password}@localhost:{port}/1?ssl_ca_certs={authority}")
            assert not await counts(f"valkeys://{password}@localhost:{port}/1")
            assert not await counts(f"rediss://{password}@127.0.0.2:{port}/1?ssl_ca_certs={authority}")
            assert not await counts(f"redis://{password}@localhost:{port}")

    rights = ["evalsha", "script|load", "get", "set", "incrby", "pttl", "ping", "select"]
    login = ("--user", "tenantgate", "on", ">p@ss", "~{tenantgate}:*", *(f"+{right}" for right in rights))
    with running_store(tmp_path / "store", "--requirepass", "p@ss", *login) as store, own_logs() as lines:
        authority = certificate(tmp_path, tmp_path)
        asyncio.run(run(store, tmp_path, authority))
    causes = " ".join(line["cause"] for line in lines)
    assert len(lines) == 3
    assert causes.count("certificate verify failed") == 2
    assert "p@ss" not in causes


async def carried(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    while data := await source.read(65_536):
        target.write(data)
        await target.drain()
    target.close()


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("postgresql://x@y/z", "must look like valkeys://user:password@host:6379/0"),
        ("valkey://a:p/ss@b", "cannot be read"),
        ("valkey://", "has no valid host"),
        ("unix://store.socket", "has no path of a socket"),
        ("valkey://127.0.0.1/first", "must name the database by a number"),
        ("valkeys://host?ssl_cert_reqs=none", "has an unknown option"),
        ("valkey://127.0.0.1?ssl_ca_certs=/x", "has an unknown option"),
        ("valkey://:a b@127.0.0.1", "contains a blank"),
        ("valkey://:s3cr3t@10.0.0.7", "10.0.0.7 is not on this machine"),
        ("redis://user:s3cr3t@Valkey.Example.com:6380/1", "valkey.example.com is not on this machine"),
    ],
)
def test_r212_a_store_that_cannot_be_read_or_is_in_clear_text_elsewhere_is_refused(url, words) -> None:
    """R212: and nothing of the password is repeated."""
    with pytest.raises(ValidationError, match=words) as refused:
        settings(url)
    assert "s3cr3t" not in str(refused.value)
    assert "p/ss" not in str(refused.value)


@pytest.mark.parametrize(
    "url",
    ["valkeys://:p@valkey.example.com", "rediss://10.0.0.7:6380/2", "unix:///run/valkey/socket", "redis://[::1]:6379"],
)
def test_r212_tls_and_this_machine_are_accepted_and_another_host_by_its_name(url) -> None:
    """R212."""
    assert settings(f"{url}\n").store.get_secret_value() == url
    LimitsSettings(store=SecretStr("valkey://valkey.internal"), store_clear_text=("Valkey.internal",))


def test_a_store_without_the_package_or_with_a_missing_file_is_one_line(monkeypatch) -> None:
    pytest.importorskip("valkey")
    with pytest.raises(SettingsError, match="the file of ssl_ca_certs cannot be read as certificates"):
        Limits(settings("valkeys://valkey.example.com?ssl_ca_certs=/nowhere.pem"))
    monkeypatch.setitem(sys.modules, "valkey.asyncio", None)
    with pytest.raises(SettingsError, match=r"the package valkey is not installed; install tenantgate\[valkey\]"):
        Limits(settings("valkey://127.0.0.1"))


@contextmanager
def replica(stack: Any, folder: Path, issuer: Issuer, resource: str, store: Store) -> Generator[str]:
    """Run a server in a process of its own; yield its address."""
    folder.mkdir()
    limits = {"store": store.url, "calls_per_minute_per_person": 20}
    with beside(stack, folder, issuer, resource_url=resource, audit=None, limits=limits) as server:
        server.start()
        yield server.url


def wait_for(reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def is_ready(url: str) -> bool:
    try:
        return httpx2.get(f"{url}/readyz", timeout=20).status_code == 200
    except httpx2.HTTPError:
        return False


@timed
def test_r210_r211_two_servers_admit_one_budget_and_keep_answering_without_the_store(stack, store, tmp_path) -> None:
    """R210, R211: exactly 20 of 60 requests; with the store killed each has a budget; and shared again."""
    resource = "https://mcp.example.com/mcp"
    with ExitStack() as open_things:
        issuer = open_things.enter_context(Issuer(aud=resource, tenant_id="broker-a").running())
        urls = [
            open_things.enter_context(replica(stack, tmp_path / name, issuer, resource, store)) for name in ("1", "2")
        ]
        http = open_things.enter_context(httpx2.Client(timeout=20))
        threads = open_things.enter_context(ThreadPoolExecutor(8))
        for url in urls:
            wait_for(lambda url=url: is_ready(url))

        def asked(subject: str, times: int, of: list[str]) -> Counter[int]:
            token = issuer.token(sub=subject)
            headers = {"authorization": f"Bearer {token}", "accept": "application/json, text/event-stream"}

            def ask(number: int) -> int:
                return http.post(f"{of[number % len(of)]}/mcp", json=CALL, headers=headers).status_code

            return Counter(threads.map(ask, range(times)))

        assert asked("mike", 60, urls) == {200: 20, 429: 40}
        store.kill()
        for url in urls:
            assert asked("emma", 30, [url]) == {200: 20, 429: 10}
            assert is_ready(url)
        store.start()
        names = iter(range(1_000))

        def is_shared() -> bool:
            name = f"person-{next(names)}"
            return asked(name, 20, urls[:1])[200] == 20 and asked(name, 1, urls[1:]) == {429: 1}

        wait_for(is_shared)
