"""One picture of the measurement: CPU time of a call, server and PostgreSQL, and calls a second beside it."""

from html import escape
from typing import Any, Final

_WIDTH: Final = 760
_LEFT: Final = 210
_BAR: Final = 380
_ROW: Final = 24
# Readable on a light and on a dark page.
_SERVER: Final = "#3b82f6"
_POSTGRES: Final = "#f59e0b"
_TEXT: Final = "#7a828c"


def drawn(result: dict[str, Any]) -> str:
    """Return the SVG, a bar for each server and number of clients."""
    figures: dict[str, dict[str, float]] = result["figures"]
    longest = max(one["cpu_us"] + one["postgres_us"] for one in figures.values())
    lines = [_text(_LEFT, 16, "CPU time of a call"), *_legend()]
    y = 34
    for clients in dict.fromkeys(name.split("/")[1] for name in figures):
        lines.append(_text(8, y + 16, f"{clients} clients" if clients != "1" else "1 client", weight="bold"))
        y += _ROW
        for name, one in figures.items():
            if name.split("/")[1] == clients:
                lines += _bar(y, name.split("/")[0], one, _BAR / longest)
                y += _ROW
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {y + 8}" width="{_WIDTH}" height="{y + 8}" '
        f'font-family="sans-serif" font-size="13" role="img" aria-label="CPU time of a call, by server">'
    )
    return "\n".join([head, *lines, "</svg>", ""])


def _bar(y: int, name: str, one: dict[str, float], scale: float) -> list[str]:
    server, postgres = one["cpu_us"] * scale, one["postgres_us"] * scale
    words = f"{one['cpu_us']:.0f} + {one['postgres_us']:.0f} µs, {one['calls_per_s']:,.0f} calls/s"
    return [
        _text(_LEFT - 8, y + 14, name, anchor="end"),
        _box(_LEFT, y + 3, server, _SERVER),
        _box(_LEFT + server, y + 3, postgres, _POSTGRES),
        _text(_LEFT + server + postgres + 6, y + 14, words, size=11),
    ]


def _legend() -> list[str]:
    return [
        _box(_LEFT + 150, 5, 12, _SERVER),
        _text(_LEFT + 168, 16, "server"),
        _box(_LEFT + 230, 5, 12, _POSTGRES),
        _text(_LEFT + 248, 16, "PostgreSQL"),
    ]


def _box(x: float, y: float, width: float, colour: str) -> str:
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="14" fill="{colour}"/>'


def _text(x: float, y: float, words: str, anchor: str = "start", weight: str = "normal", size: int = 13) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-weight="{weight}" font-size="{size}" '
        f'fill="{_TEXT}">{escape(words)}</text>'
    )
