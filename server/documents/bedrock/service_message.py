"""The service's message about a failure in a form that may be logged: without the question.

A message of the service can repeat the question: whole, cut off, in quotes or escaped. So every word that it shares
with the question is left out, sometimes a common word too.
"""

import html
import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import unquote

# Marks words that were left out.
CUT: Final = "[…]"
_MAXIMUM_CHARACTERS: Final = 1_000
_WORD: Final = re.compile(r"\w+")
_ESCAPED: Final = re.compile(r"\\u([0-9a-fA-F]{4})")
# Shorter words are common, so they are left out only beside longer ones. Other scripts have shorter words.
_LEAST_ASCII: Final = 4
_LEAST_OTHER: Final = 2


def without(message: str, asked: Iterable[str]) -> str:
    """Return one line of `message`, at most 1,000 characters, in which no word of `asked` is left."""
    plain = " ".join(_decoded(message[: 2 * _MAXIMUM_CHARACTERS]).split())
    plain = "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in plain)
    words: set[str] = set()
    for text in asked:
        if whole := " ".join(text.split()):
            plain = re.sub(rf"(?<!\w){re.escape(whole)}(?!\w)", CUT, plain, flags=re.IGNORECASE)
        words.update(_WORD.findall(text.casefold()))
    return _without_words(plain, words)[:_MAXIMUM_CHARACTERS]


def _decoded(message: str) -> str:
    """Return the message with JSON, HTML and URL escapes decoded: an escaped question must be found too."""
    text = _ESCAPED.sub(lambda found: chr(int(found[1], 16)), message)
    text = re.sub(r"\\[nrt]", " ", text).replace('\\"', '"')
    return unquote(html.unescape(text))


def _without_words(text: str, words: set[str]) -> str:
    found = list(_WORD.finditer(text))
    cut = [_is_shared(one[0].casefold(), words) for one in found]
    # Forwards and backwards, to find short words of the question on both sides of longer ones.
    for places in (range(1, len(found)), range(len(found) - 2, -1, -1)):
        for place in places:
            neighbour = place - places.step
            cut[place] = cut[place] or (cut[neighbour] and found[place][0].casefold() in words)
    parts: list[str] = []
    end = 0
    for place, one in enumerate(found):
        if not cut[place]:
            continue
        if place == 0 or not cut[place - 1]:
            parts += [text[end : one.start()], CUT]
        end = one.end()
    return "".join([*parts, text[end:]])


def _is_shared(word: str, words: set[str]) -> bool:
    """Whether the word, or a long enough part of it, is in the question; a message may be cut off within a word."""
    if word.isdigit() and word in words:
        return True
    return any(
        min(len(word), len(other)) >= (_LEAST_ASCII if word.isascii() else _LEAST_OTHER)
        and (word in other or other in word)
        for other in words
    )
