"""Poolers and proxies in front of a test's database: PgBouncer itself, and small ones that behave like others."""

import asyncio
import contextlib
import os
import shutil
import socket
import struct
import subprocess
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import psycopg

from server.dev.postgres.account import postgres_account
from support.ports import free_port

PGBOUNCER = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
NO_PGBOUNCER = "there is no pgbouncer; install Debian's package of that name"
RDS_WORDS = "Feature not supported: RDS Proxy currently doesn't support command-line options."
ENDPOINT_WORDS = (
    "Endpoint ID is not specified. Either please upgrade the postgres client library (libpq) for SNI support."
)


def through(url: str, port: int) -> str:
    """Return the URL with another port of this machine."""
    parts = urlsplit(url)
    return parts._replace(netloc=f"{parts.netloc.rpartition('@')[0]}@127.0.0.1:{port}").geturl()


def pgbouncer_version() -> tuple[int, ...]:
    said = subprocess.run([PGBOUNCER or "", "--version"], capture_output=True, text=True, check=True).stdout
    return tuple(int(number) for number in said.split()[1].split(".")[:2])


@contextmanager
def pgbouncer(urls: list[str], mode: str, **more: str) -> Generator[int]:
    """Run PgBouncer in front of the server of `urls`, for their logins, with nothing set but the mode and `more`."""
    assert PGBOUNCER is not None, NO_PGBOUNCER
    account, port, server = postgres_account(), free_port(), urlsplit(urls[0])
    # Not pytest's folders, which only their owner may enter.
    folder = Path(tempfile.mkdtemp(prefix="pgbouncer-"))
    logins = {urlsplit(url).username: urlsplit(url).password for url in urls}
    users, settings, log = folder / "users.txt", folder / "pgbouncer.ini", folder / "log"
    users.write_text("".join(f'"{name}" "{password}"\n' for name, password in logins.items()))
    lines = [f"listen_addr = 127.0.0.1\nlisten_port = {port}\nauth_type = plain\nauth_file = {users}"]
    lines += [f"unix_socket_dir =\npool_mode = {mode}\ndefault_pool_size = 10"]
    lines += [f"{name} = {value}" for name, value in more.items()]
    target = f"* = host={server.hostname} port={server.port}"
    settings.write_text("\n".join(["[databases]", target, "[pgbouncer]", *lines, ""]))
    for path in (folder, users, settings):
        account.own(path)
    with log.open("wb") as output:
        child = subprocess.Popen(
            [PGBOUNCER, str(settings)], stdout=output, stderr=output, user=account.user, group=account.group
        )
        try:
            _wait(port, child, log)
            yield port
        finally:
            child.terminate()
            child.wait(10)
            shutil.rmtree(folder)


def _wait(port: int, child: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + 20
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            assert child.poll() is None, log.read_text()
            assert time.monotonic() < until, log.read_text()
            time.sleep(0.05)
        else:
            return


@dataclass
class Proxy:
    """Passes everything on, numbers its clients itself, and keeps what their start-up packets said."""

    port: int = 0
    packets: list[dict[str, str]] = field(default_factory=list[dict[str, str]])
    refusal: Callable[[dict[str, str]], str | None] = lambda _packet: None


def refuses_options(packet: dict[str, str]) -> str | None:
    """As RDS Proxy does."""
    return RDS_WORDS if "options" in packet else None


def wants_an_endpoint(packet: dict[str, str]) -> str | None:
    """As Neon's proxy does for clients without a server name."""
    return None if packet.pop("options", "").startswith("endpoint=") else ENDPOINT_WORDS


Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextmanager
def _running(serve: Serve) -> Generator[int]:
    """Serve on a free port in a thread of its own; yield the port."""
    ready, loop, ports = threading.Event(), asyncio.new_event_loop(), list[int]()
    stop = asyncio.Event()

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                await serve(reader, writer)
        finally:
            writer.close()

    async def run() -> None:
        listening = await asyncio.start_server(one, "127.0.0.1", 0)
        ports.append(listening.sockets[0].getsockname()[1])
        ready.set()
        await stop.wait()
        listening.close()

    thread = threading.Thread(target=lambda: loop.run_until_complete(run()))
    thread.start()
    try:
        assert ready.wait(10)
        yield ports[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0.05))
        loop.close()


@contextmanager
def proxy(url: str, refusal: Callable[[dict[str, str]], str | None] = lambda _packet: None) -> Generator[Proxy]:
    """Run a proxy in front of the server of `url`; `refusal` returns the words with which a packet is refused."""
    server, found = urlsplit(url), Proxy(refusal=refusal)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _serve(reader, writer, found, (str(server.hostname), int(server.port or 5432)))

    with _running(serve) as found.port:
        yield found


@contextmanager
def multiplexer(url: str) -> Generator[Proxy]:
    """Run a proxy that shares one connection among its clients, until a client sets or prepares something.

    As RDS Proxy does, it then gives this client a connection of its own, and it accepts no `options`.
    """
    found = Proxy(refusal=refuses_options)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if await _started(reader, writer, found) is None:
            return
        kept = {"client_encoding": "UTF8", "server_version": "18.0", "standard_conforming_strings": "on"}
        writer.write(_message(b"R", struct.pack("!I", 0)))
        for name, value in kept.items():
            writer.write(_message(b"S", f"{name}\0{value}\0".encode()))
        writer.write(_message(b"K", struct.pack("!II", len(found.packets), 1)) + _message(b"Z", b"I"))
        while True:
            kind, body = await _read(reader)
            if kind == b"X":
                return
            if kind != b"Q" or b"set_config" in body:
                break
            async with lock:
                await _ask(shared, _message(kind, body), writer)
        with psycopg.connect(url, autocommit=True) as own:
            to_reader, to_writer = await _streams(own)
            to_writer.write(_message(kind, body))
            try:
                await asyncio.gather(_pump(reader, to_writer), _pump(to_reader, writer))
            finally:
                to_writer.transport.abort()

    lock = asyncio.Lock()
    with psycopg.connect(url, autocommit=True) as shared, _running(serve) as found.port:
        yield found


async def _ask(shared: psycopg.Connection, message: bytes, writer: asyncio.StreamWriter) -> None:
    to_reader, to_writer = await _streams(shared)
    to_writer.write(message)
    kind = b""
    while kind != b"Z":
        kind, body = await _read(to_reader)
        writer.write(_message(kind, body))
    to_writer.transport.abort()


async def _streams(connection: psycopg.Connection) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Return the streams of a connection that has logged in; psycopg keeps a handle of its own."""
    return await asyncio.open_connection(sock=socket.socket(fileno=os.dup(connection.pgconn.socket)))


async def _read(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    kind = await reader.readexactly(1)
    (length,) = struct.unpack("!I", await reader.readexactly(4))
    return kind, await reader.readexactly(length - 4)


def _message(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("!I", len(body) + 4) + body


async def _started(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, found: Proxy
) -> tuple[int, bytes] | None:
    """Return the code and the body of the packet to pass on, None for one that was refused."""
    while True:
        length, code = struct.unpack("!II", await reader.readexactly(8))
        body = await reader.readexactly(length - 8)
        if code not in {80877103, 80877104}:
            break
        writer.write(b"N")  # no TLS, no GSSAPI
    if code != 196608:
        return code, body
    words = body.rstrip(b"\0").split(b"\0")
    packet = dict(zip([one.decode() for one in words[::2]], [one.decode() for one in words[1::2]], strict=False))
    found.packets.append(dict(packet))
    if (refused := found.refusal(packet)) is not None:
        writer.write(_message(b"E", b"SFATAL\0VFATAL\0C0A000\0M" + refused.encode() + b"\0\0"))
        await writer.drain()
        return None
    return code, b"".join(f"{name}\0{value}\0".encode() for name, value in packet.items()) + b"\0"


async def _serve(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, found: Proxy, server: tuple[str, int]
) -> None:
    started = await _started(reader, writer, found)
    if started is None:
        return
    code, body = started
    to_reader, to_writer = await asyncio.open_connection(*server)
    to_writer.write(struct.pack("!II", len(body) + 8, code) + body)
    try:
        await asyncio.gather(_pump(reader, to_writer), _answers(to_reader, writer, len(found.packets)))
    finally:
        to_writer.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()


async def _answers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
    kind = b""
    while kind not in {b"Z", b"E"}:
        kind, body = await _read(reader)
        writer.write(_message(kind, struct.pack("!I", number) + body[4:] if kind == b"K" else body))
    await _pump(reader, writer)
