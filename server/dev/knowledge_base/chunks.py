"""Cut a document into chunks that each make sense alone."""

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

# About 300 tokens of English: well within the 512 that the embedding model reads at once.
MAXIMUM_CHARACTERS: Final = 1_200
OVERLAP_CHARACTERS: Final = 200
HEADINGS_CHARACTERS: Final = 300

_HEADING: Final = re.compile(r"(#{1,6})\s+(.+?)\s*#*")
_FENCE: Final = re.compile(r"\s*(```|~~~)")
_SENTENCE_END: Final = re.compile(r"(?<=[.!?])\s+|\n")


@dataclass(slots=True)
class DocumentSection:
    """The headings above a place in the document, and the paragraphs there."""

    headings: tuple[str, ...]
    paragraphs: list[str] = field(default_factory=list[str])


def cut(text: str, *, markdown: bool) -> list[str]:
    """Cut `text` into chunks of at most 1,200 characters; each starts with the headings above it."""
    chunks: list[str] = []
    for section in _sections(text, markdown=markdown):
        headings = "\n\n".join(section.headings)[:HEADINGS_CHARACTERS]
        bodies = _packed(section.paragraphs, MAXIMUM_CHARACTERS - len(headings) - 2)
        chunks.extend(f"{headings}\n\n{body}" if headings else body for body in bodies)
    return chunks


def _sections(text: str, *, markdown: bool) -> Iterator[DocumentSection]:
    """Yield the sections in order; a heading ends the sections of its own level and below."""
    section = DocumentSection(())
    lines: list[str] = []
    fenced = False
    for line in [*text.splitlines(), ""]:
        fenced ^= bool(_FENCE.match(line))
        heading = _HEADING.fullmatch(line) if markdown and not fenced else None
        if line.strip() and not heading:
            lines.append(line.rstrip())
            continue
        if lines:
            section.paragraphs.append("\n".join(lines))
            lines = []
        if heading:
            yield section
            level = len(heading[1])
            above = tuple(kept for kept in section.headings if len(kept.split(" ", 1)[0]) < level)
            section = DocumentSection((*above, f"{heading[1]} {heading[2]}"))
    yield section


def _packed(paragraphs: list[str], limit: int) -> Iterator[str]:
    """Join paragraphs up to `limit` characters; each text after the first begins with the end of the previous one."""
    current = ""
    for paragraph in paragraphs:
        for piece in _pieces(paragraph, limit - OVERLAP_CHARACTERS - 2):
            if not current:
                current = piece
            elif len(current) + 2 + len(piece) <= limit:
                current = f"{current}\n\n{piece}"
            else:
                yield current
                current = f"{_tail(current)}\n\n{piece}".lstrip()
    if current:
        yield current


def _pieces(paragraph: str, limit: int) -> Iterator[str]:
    """Split a paragraph longer than `limit` at sentences, and a longer sentence at words."""
    current = ""
    for sentence in [paragraph] if len(paragraph) <= limit else _SENTENCE_END.split(paragraph):
        for part in [sentence] if len(sentence) <= limit else textwrap.wrap(sentence, limit):
            if current and len(current) + 1 + len(part) > limit:
                yield current
                current = part
            else:
                current = f"{current} {part}".lstrip()
    if current:
        yield current


def _tail(text: str) -> str:
    """Return the last 200 characters or fewer, from the start of a word."""
    if len(text) <= OVERLAP_CHARACTERS:
        return text
    return text[-OVERLAP_CHARACTERS:].partition(" ")[2].strip()
