"""Secrets that a run plants where people have theirs, and all that it leaves, in which they must not stand."""

import secrets
from collections.abc import Iterator
from pathlib import Path

from support.real_server import RealServer


class Canaries:
    """A password of the database, a note in a row, a question, and the tokens of all callers."""

    def __init__(self) -> None:
        self.password = f"password-{secrets.token_hex(8)}"
        self.note = f"Note {secrets.token_hex(8)}"
        self.question = f"question {secrets.token_hex(8)}"
        self.tokens: list[str] = []

    def all(self) -> dict[str, str]:
        """Return each secret by what it is; of a token, the signature, which makes it one."""
        tokens = {f"token {number}": text.rpartition(".")[2] for number, text in enumerate(self.tokens)}
        return {"a password": self.password, "a note": self.note, "a question": self.question, **tokens}


def left_behind(server: RealServer, folder: Path, more: dict[str, bytes]) -> Iterator[tuple[str, bytes]]:
    """Yield the server's log, the trail, the databases' logs, and what was received of metrics and traces."""
    yield "the server's log", (server.folder / "log").read_bytes()
    for file in sorted(server.trail.parent.iterdir()):
        yield file.name, file.read_bytes()
    for name in ("primary/postgres.log", "standby/log"):
        yield name, (folder / name).read_bytes()
    yield from more.items()
