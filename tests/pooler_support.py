"""Poolers and proxies in front of a test's database: PgBouncer itself, and small ones that behave like others."""

import asyncio
import shutil
import socket
import struct
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from server.dev.postgres.account import postgres_account
from server.dev.postgres.launcher import _free_port

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
    account, port, server = postgres_account(), _free_port(), urlsplit(urls[0])
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


@contextmanager
def proxy(url: str, refusal: Callable[[dict[str, str]], str | None] = lambda _packet: None) -> Generator[Proxy]:
    """Run a proxy in front of the server of `url`; `refusal` returns the words with which a packet is refused."""
    server, found = urlsplit(url), Proxy(refusal=refusal)
    ready, loop = threading.Event(), asyncio.new_event_loop()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await _serve(reader, writer, found, (str(server.hostname), int(server.port or 5432)))
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def run() -> None:
        listening = await asyncio.start_server(serve, "127.0.0.1", 0)
        found.port = listening.sockets[0].getsockname()[1]
        ready.set()
        await stop.wait()
        listening.close()

    stop = asyncio.Event()
    thread = threading.Thread(target=lambda: loop.run_until_complete(run()))
    thread.start()
    try:
        assert ready.wait(10)
        yield found
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0.05))
        loop.close()


async def _serve(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, found: Proxy, server: tuple[str, int]
) -> None:
    while True:
        length, code = struct.unpack("!II", await reader.readexactly(8))
        body = await reader.readexactly(length - 8)
        if code not in {80877103, 80877104}:
            break
        writer.write(b"N")  # no TLS, no GSSAPI
    to_reader, to_writer = await asyncio.open_connection(*server)
    if code == 196608:
        words = body.rstrip(b"\0").split(b"\0")
        packet = dict(zip([one.decode() for one in words[::2]], [one.decode() for one in words[1::2]], strict=False))
        found.packets.append(dict(packet))
        if (refused := found.refusal(packet)) is not None:
            fields = b"SFATAL\0VFATAL\0C0A000\0M" + refused.encode() + b"\0\0"
            writer.write(b"E" + struct.pack("!I", len(fields) + 4) + fields)
            to_writer.close()
            await writer.drain()
            return
        body = b"".join(f"{name}\0{value}\0".encode() for name, value in packet.items()) + b"\0"
    to_writer.write(struct.pack("!II", len(body) + 8, code) + body)
    await asyncio.gather(_pump(reader, to_writer), _answers(to_reader, writer, len(found.packets)))


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()


async def _answers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
    kind = b""
    while kind != b"Z":
        kind = await reader.readexactly(1)
        (length,) = struct.unpack("!I", await reader.readexactly(4))
        body = await reader.readexactly(length - 4)
        if kind == b"K":
            body = struct.pack("!I", number) + body[4:]
        writer.write(kind + struct.pack("!I", length) + body)
        if kind == b"E":
            break
    await _pump(reader, writer)
