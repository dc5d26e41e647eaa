"""What the server shows of itself during a run: a scrape of its metrics, and the traces that it exports."""

import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx2
from support.ports import free_port


class Telemetry:
    """Takes every trace; `received` are the bodies as they came."""

    def __init__(self) -> None:
        self.metrics_port = free_port()
        self.received = bytearray()
        self.scraped = bytearray()
        self._receiver = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())

    @property
    def settings(self) -> dict[str, Any]:
        return {"telemetry": {"metrics_port": self.metrics_port}}

    @property
    def variables(self) -> dict[str, str]:
        return {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{self._receiver.server_address[1]}",
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            "OTEL_TRACES_EXPORTER": "otlp",
            "OTEL_TRACES_SAMPLER": "always_on",
        }

    @contextmanager
    def running(self) -> Generator["Telemetry"]:
        thread = threading.Thread(target=self._receiver.serve_forever)
        thread.start()
        try:
            yield self
        finally:
            self._receiver.shutdown()
            self._receiver.server_close()
            thread.join()

    def scrape(self) -> None:
        with suppress(httpx2.HTTPError):
            self.scraped += httpx2.get(f"http://127.0.0.1:{self.metrics_port}/metrics", timeout=5).content

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        received = self.received

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                received.extend(self.rfile.read(int(self.headers.get("content-length", "0"))))
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002
                """Say nothing."""

        return Handler
