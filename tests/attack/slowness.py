"""slowhttptest: slow heads, slow bodies and slow readers; its control answers twenty connections and no more."""

import re
import socket
import tempfile
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import httpx2

from attack.outcome import Attack, Result
from attack.target import Target
from attack.tools import missing, run

_SECONDS: Final = 11
# More connections than one source may hold, opened within two seconds; an answer must come within two.
_OPTIONS: Final = ("-c", "1000", "-r", "500", "-l", str(_SECONDS), "-p", "2", "-v", "0")
MODES: Final = {
    "slow heads": ("-H", "-i", "2", "-x", "24"),
    "slow bodies": ("-B", "-i", "2", "-x", "10", "-s", "65536", "-f", "application/json"),
    "slow readers": ("-X", "-w", "1", "-y", "4", "-n", "2", "-z", "2", "-k", "3"),
}
_PATIENCE_S: Final = 5.0
_BODY: Final = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "whoami", "arguments": {}}}


def slowed(url: str, mode: str) -> Result:
    """Run one mode; what is found is that the tool saw the service unavailable, or that it saw nothing."""
    with tempfile.TemporaryDirectory() as folder:
        options = (*MODES[mode], *_OPTIONS, "-g", "-o", "seen", "-u", f"{url}/mcp")
        said = run("slowhttptest", *options, home=Path(folder), patience_s=_SECONDS + 30)
        file = Path(folder) / "seen.csv"
        # One line a second: seconds, closed, pending, connected, and 0 where the service was not available.
        lines = [list(map(int, line.split(","))) for line in file.read_text().splitlines()[1:]] if file.exists() else []
    # The first look is taken before the first connection.
    if len(lines) < 2:
        return Result(0, (f"{mode}: slowhttptest came to no verdict: {said[-200:]!r}",))
    opened = max(closed + connected for _, closed, _, connected, _ in lines)
    seconds = sum(available == 0 for *_, available in lines)
    return Result(opened, (f"{mode}: the service was not available for {seconds} s",) if seconds else ())


def attack(target: Target) -> Result:
    """Run each mode while an authorised caller goes on."""
    sent, found = 0, list[str]()
    for mode in MODES:
        with _caller(target) as failures:
            result = slowed(target.url, mode)
        sent += result.sent
        found += [*result.found, *(f"{mode}: an authorised call {one}" for one in failures)]
    return Result(sent, (*found, *target.trouble()))


def control(_target: Target) -> Result:
    """Slow down a server that has twenty places; each mode has to see it."""
    results: dict[str, Result] = {}

    def look(mode: str) -> None:
        with _few_places() as url:
            results[mode] = slowed(url, mode)

    threads = [threading.Thread(target=look, args=(mode,)) for mode in MODES]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    missed = tuple(mode for mode, one in results.items() if not any("not available" in found for found in one.found))
    found = tuple(one for mode, result in results.items() if mode not in missed for one in result.found)
    return Result(sum(one.sent for one in results.values()), found, missed)


@contextmanager
def _caller(target: Target) -> Generator[list[str]]:
    """Call again and again, each second on a new connection; the list fills with what went wrong."""
    failures: list[str] = []
    over = threading.Event()

    def call() -> None:
        while not over.wait(0.05):
            began = time.monotonic()
            try:
                with httpx2.Client(timeout=_PATIENCE_S) as http:
                    for _ in range(10):
                        answer = http.post(f"{target.url}/mcp", json=_BODY, headers=target.headers())
                        if answer.status_code != 200:
                            failures.append(f"got {answer.status_code}")
                        time.sleep(0.05)
            except httpx2.HTTPError as error:
                failures.append(f"failed after {time.monotonic() - began:.1f} s: {type(error).__name__}")

    thread = threading.Thread(target=call)
    thread.start()
    try:
        yield failures
    finally:
        over.set()
        thread.join()


@contextmanager
def _few_places() -> Generator[str]:
    """Answer each connection in a thread of its own, which waits for the whole request and for its reader."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=1)
    places = threading.BoundedSemaphore(20)

    def answer(connection: Any) -> None:
        with places, connection, suppress(OSError):
            connection.settimeout(60)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1_024)
            read = b""
            while b"\r\n\r\n" not in read and (data := connection.recv(4_096)):
                read += data
            length = int((re.findall(rb"(?i)content-length: *(\d+)", read) or [b"0"])[0])
            while len(read.partition(b"\r\n\r\n")[2]) < length and (data := connection.recv(4_096)):
                read += data
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 1_000_000)

    def accept() -> None:
        with suppress(OSError):
            while True:
                places.acquire()
                places.release()
                connection, _ = listener.accept()
                threading.Thread(target=answer, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


ATTACK: Final = Attack(
    "slowhttptest",
    "slow heads, bodies and readers",
    lambda: missing("slowhttptest", how="apt-get install slowhttptest"),
    attack,
    control,
)
