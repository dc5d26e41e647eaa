"""A knowledge base that answers by the filter of each request, and can throttle and hang."""

import socket
import threading
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from support.scripted_store import answer, scripted_store

TIERS = ("regular", "platinum")


class Store:
    """Answers with one passage of the tier that the filter names."""

    def __init__(self) -> None:
        self.url = ""
        self.throttles = False
        self._answers = threading.Event()
        self._answers.set()

    @contextmanager
    def running(self) -> Generator["Store"]:
        with scripted_store(self._handle) as store:
            self.url = store.url
            try:
                yield self
            finally:
                self._answers.set()

    def hang(self, *, on: bool) -> None:
        (self._answers.clear if on else self._answers.set)()

    def _handle(self, connection: socket.socket, body: dict[str, Any]) -> None:
        self._answers.wait(60)
        if self.throttles:
            connection.sendall(answer({"message": "Too many requests"}, 429, "ThrottlingException"))
            return
        asked = str(body.get("retrievalConfiguration"))
        found = [_passage(tier) for tier in TIERS if f"'{tier}'" in asked]
        connection.sendall(answer({"retrievalResults": found}))


def _passage(tier: str) -> dict[str, Any]:
    return {
        "content": {"text": f"The deductible of the {tier} tier.", "type": "TEXT"},
        "location": {"type": "S3", "s3Location": {"uri": f"s3://bucket/{tier}.md"}},
        "metadata": {"tier": tier},
        "score": 0.5,
    }
