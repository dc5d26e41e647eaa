"""Requests whose end could be read in two ways, each with a second request hidden in its body."""

from collections.abc import Iterator
from dataclasses import dataclass

HOST = "mcp.example.com"
UPGRADE = "Connection: Upgrade\r\nUpgrade: h2c"


@dataclass(frozen=True)
class Variant:
    """One request as bytes; `answered` says whether it is read as a request, or else refused and the connection closed.

    None: a reader may do either, as long as the hidden request is not run.
    """

    name: str
    head: bytes
    body: bytes
    answered: bool | None

    @property
    def whole(self) -> bytes:
        return self.head + self.body


def chunked(data: bytes, size: bytes | None = None, end: bytes = b"0\r\n\r\n") -> bytes:
    """Return `data` as one chunk; `size` is what stands where its size should."""
    return (b"%x" % len(data) if size is None else size) + b"\r\n" + data + b"\r\n" + end


def request(
    hidden: bytes,
    *lines: str,
    name: str,
    answered: bool | None = False,
    start: str = "POST /mcp HTTP/1.1",
    body: bytes | None = None,
    newline: str = "\r\n",
) -> Variant:
    """Return a request; `@` in a line stands for the length of its body, which is the hidden request by default."""
    body = hidden if body is None else body
    head = newline.join([start, f"Host: {HOST}", "Content-Type: application/json", *lines, "", ""])
    return Variant(name, head.replace("@", str(len(body))).encode("latin-1"), body, answered)


def upgrades(hidden: bytes) -> Iterator[Variant]:
    """Upgrade and CONNECT: the parser takes the end of the head for the end of the request."""
    pieces = chunked(hidden)
    for token in ("h2c", "websocket", "foo", "TLS/1.0, h2c"):
        lines = ("Connection: Upgrade", f"Upgrade: {token}")
        yield request(hidden, *lines, "Content-Length: @", name=f"Upgrade {token}", answered=True)
        yield request(
            hidden, *lines, "Transfer-Encoding: chunked", name=f"Upgrade {token}, chunks", answered=True, body=pieces
        )
    for value in ("keep-alive, Upgrade", "upgrade, HTTP2-Settings", "UPGRADE", "Upgrade\r\nConnection: keep-alive"):
        lines = (f"Connection: {value}", "HTTP2-Settings: AAMAAABk", "Upgrade: h2c", "Content-Length: @")
        yield request(hidden, *lines, name=f"Connection {value!r}", answered=True)
    for method in ("GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH"):
        for path in ("/mcp", "/healthz", "/"):
            start = f"{method} {path} HTTP/1.1"
            yield request(hidden, UPGRADE, "Content-Length: @", name=f"Upgrade {start}", answered=True, start=start)
    yield request(
        hidden, "Connection: close, Upgrade", "Upgrade: h2c", "Content-Length: @", name="Upgrade, close", answered=True
    )
    yield request(hidden, UPGRADE, "Content-Length: @", name="Upgrade 1.0", answered=True, start="POST /mcp HTTP/1.0")
    yield request(hidden, UPGRADE, "Content-Length: @", "Expect: 100-continue", name="Upgrade, Expect", answered=True)
    for target in ("/mcp", f"{HOST}:443"):
        start = f"CONNECT {target} HTTP/1.1"
        yield request(hidden, "Content-Length: @", name=f"CONNECT {target}, length", start=start)
        yield request(hidden, "Transfer-Encoding: chunked", name=f"CONNECT {target}, chunks", start=start, body=pieces)
        yield request(hidden, name=f"CONNECT {target}", start=start)
        yield request(hidden, UPGRADE, "Content-Length: @", name=f"CONNECT {target}, Upgrade", start=start)


def lengths(hidden: bytes) -> Iterator[Variant]:
    """Content-Length and Transfer-Encoding in every combination, each also with Upgrade, which skips a check."""
    early = b"0\r\n\r\n" + hidden
    late = chunked(hidden)
    both = {
        "CL, TE": (("Content-Length: @", "Transfer-Encoding: chunked"), early),
        "TE, CL": (("Transfer-Encoding: chunked", "Content-Length: @"), early),
        "TE, short CL": (("Transfer-Encoding: chunked", "Content-Length: 4"), late),
        "CL 0, TE": (("Content-Length: 0", "Transfer-Encoding: chunked"), late),
        "CL, CL": (("Content-Length: 0", "Content-Length: @"), hidden),
        "CL twice": (("Content-Length: @", "Content-Length: @"), hidden),
        "TE identity": (("Transfer-Encoding: identity", "Content-Length: @"), hidden),
        "TE unknown": (("Transfer-Encoding: xchunked", "Content-Length: @"), early),
        "TE unknown alone": (("Transfer-Encoding: xchunked",), late),
        "TE then identity": (("Transfer-Encoding: chunked, identity",), late),
        "TE after gzip": (("Transfer-Encoding: gzip, chunked",), late),
        "TE repeated in one": (("Transfer-Encoding: chunked, chunked",), late),
        "TE twice": (("Transfer-Encoding: chunked", "Transfer-Encoding: chunked"), late),
        "TE and identity": (("Transfer-Encoding: chunked", "Transfer-Encoding: identity"), late),
        "TE quoted": (('Transfer-Encoding: "chunked"', "Content-Length: @"), early),
        "TE with a vertical tab": (("Transfer-Encoding: \x0bchunked", "Content-Length: @"), early),
        "TE with a space in its name": (("Transfer-Encoding : chunked", "Content-Length: @"), early),
        "TE with a semicolon": (("Transfer-Encoding: chunked;a=b", "Content-Length: @"), early),
    }
    for name, (lines, body) in both.items():
        yield request(hidden, *lines, name=name, body=body)
        yield request(hidden, *lines, UPGRADE, name=f"{name}, Upgrade", body=body)
    yield request(hidden, "Transfer-Encoding: chunked", name="TE 1.0", start="POST /mcp HTTP/1.0", body=late)
    for value in (
        "@, @",
        "+@",
        "-1",
        "0x@",
        "@ @",
        "18446744073709551616",
        "99999999999999999999999",
        "@.0",
        "@\x0b",
        "x",
        '"@"',
    ):
        yield request(hidden, f"Content-Length: {value}", name=f"CL {value!r}")
    yield request(hidden, "Content-Length:", name="CL empty")
    yield request(hidden, "Content-Length : @", name="CL with a space in its name")
    # Names that only look alike: the real length is the one that counts.
    for line in ("Content_Length: 0", "Transfer_Encoding: chunked", "X-Content-Length: 0", "Content-Length-: 0"):
        yield request(hidden, "Content-Length: @", line, name=line, answered=None)
    for value, answered in {"\tchunked": True, "CHUNKED": True, "chunked\t ": None}.items():
        yield request(hidden, f"Transfer-Encoding: {value}", name=f"TE {value!r}", answered=answered, body=late)


def lines(hidden: bytes) -> Iterator[Variant]:
    """Where a line ends: folded headers, bare LF and CR, NUL, and versions of the protocol."""
    early, late = b"0\r\n\r\n" + hidden, chunked(hidden)
    for name, folded in {
        "a header": "X: a\r\n Transfer-Encoding: chunked",
        "a header by a tab": "X: a\r\n\tTransfer-Encoding: chunked",
        "a TE": "Transfer-Encoding:\r\n chunked",
        "a TE in two": "Transfer-Encoding: chun\r\n ked",
    }.items():
        yield request(hidden, folded, "Content-Length: @", name=f"folded {name}", body=early)
    yield request(hidden, "Content-Length:\r\n @", name="folded CL")
    yield request(hidden, "Content-Length: 1\r\n @", name="folded CL in two")
    yield request(hidden, " Content-Length: 0", "Content-Length: @", name="a first header with a space", answered=False)
    for name, line in {
        "LF": "X: y\nTransfer-Encoding: chunked",
        "CR": "X: y\rTransfer-Encoding: chunked",
        "CR CR LF": "X: y\r\r\nTransfer-Encoding: chunked",
        "LF and blank": "X: y\n\nPOST /mcp HTTP/1.1",
        "NUL in a value": "X: y\x00Transfer-Encoding: chunked",
        "NUL in a name": "X\x00: y",
        "NUL in a TE": "Transfer-Encoding: chunked\x00",
        "a name without colon": "Transfer-Encoding",
        "an empty name": ": chunked",
    }.items():
        yield request(hidden, line, "Content-Length: @", name=f"line with {name}", body=early)
    yield request(hidden, "Content-Length: @", name="LF everywhere", newline="\n")
    yield request(hidden, "Content-Length: @", name="CR everywhere", newline="\r")
    for start in (
        "POST /m\x00cp HTTP/1.1", "POST /mcp HTTP/0.9", "POST /mcp HTTP/2.0", "POST /mcp HTTP/1.10", "POST /mcp",
        "POST /mcp  HTTP/1.1 x", "POST\t/mcp HTTP/1.1", "PRI * HTTP/2.0", f"POST http://{HOST}/mcp HTTP/1.1",
        "OPTIONS * HTTP/1.1", " POST /mcp HTTP/1.1", "post /mcp HTTP/1.1", "POST /mcp http/1.1",
        "POST /a\n/mcp HTTP/1.1",
    ):  # fmt: skip
        yield request(hidden, "Content-Length: @", name=f"start {start!r}", start=start)
        yield request(
            hidden, UPGRADE, "Transfer-Encoding: chunked", name=f"start {start!r}, Upgrade", start=start, body=late
        )


def chunks(hidden: bytes) -> Iterator[Variant]:
    """The sizes, extensions and ends of chunks, and trailers."""
    size = b"%x" % len(hidden)
    for extra, upgrade in (("", ()), (", Upgrade", (UPGRADE,))):
        framed = ("Transfer-Encoding: chunked", *upgrade)
        for name, piece in {
            "an extension": b";a=b",
            "a quoted extension": b';a="b"',
            "a bare extension": b";a",
        }.items():
            body = chunked(hidden, size + piece)
            yield request(hidden, *framed, name=f"chunk with {name}{extra}", answered=True, body=body)
        for name, first in {
            "LF in its extension": size + b";a\nb", "CR in its extension": size + b";a\rb", "a sign": b"+" + size,
            "LF after its size": size + b"\n", "a space before its size": b" " + size, "0x": b"0x" + size,
            "underscores": b"0_" + size,
            "too many digits": b"0" * 40 + b"f" * 17, "no size": b"", "minus": b"-" + size, "NUL": size + b"\x00",
            "a large size that overflows": b"1" + b"0" * (16 - len(size)) + size,
        }.items():  # fmt: skip
            yield request(hidden, *framed, name=f"chunk with {name}{extra}", body=chunked(hidden, first), answered=None)
        yield request(hidden, *framed, name=f"chunk cut short{extra}", body=b"1\r\n" + hidden)
        yield request(hidden, *framed, name=f"chunk ended by LF{extra}", body=b"1\r\nx\n0\r\n\r\n" + hidden)
        yield request(hidden, *framed, name=f"chunk ended by nothing{extra}", body=b"1\r\nx0\r\n\r\n" + hidden)
        for name, trailer in {
            "a length": b"Content-Length: 5\r\n",
            "an encoding": b"Transfer-Encoding: chunked\r\n",
            "a host": b"Host: elsewhere\r\n",
        }.items():
            body = chunked(hidden, end=b"0\r\n" + trailer + b"\r\n")
            yield request(hidden, *framed, name=f"trailer with {name}{extra}", answered=None, body=body)
        yield request(
            hidden, *framed, name=f"trailer folded over a request{extra}", answered=None,
            body=b"0\r\nX: y\r\n " + hidden.replace(b"\r\n", b"\r\n ") + b"\r\n\r\n",
        )  # fmt: skip


def variants(hidden: bytes) -> list[Variant]:
    """Return all of them around one hidden request."""
    return [*upgrades(hidden), *lengths(hidden), *lines(hidden), *chunks(hidden)]
