"""Whether a document's passage answers a question, and with which sentence: by its words, not by its meaning."""

import re
from typing import Final

_HEADING: Final = re.compile(r"^\s*#.*$", re.MULTILINE)
_BLOCK_END: Final = re.compile(r"\n\s*\n|\n(?=\s*(?:[-*|]|\d+\.)\s)")
_SENTENCE_END: Final = re.compile(r"(?<=[.!?])\s+")
_FIGURE: Final = re.compile(r"\$\s?\d")
_STOP_WORDS: Final = frozenset(
    {"about", "does", "from", "have", "like", "many", "much", "shall", "should", "show", "tell", "that", "there"}
    | {"they", "this", "what", "when", "where", "which", "will", "with", "would", "your"}
)
# Words count as the same when they begin alike, such as "cover" and "covered".
_BEGINNING: Final = 5
# Words that change the meaning of a figure: the maximum deductible does not answer a question about the deductible.
_QUALIFIERS: Final = frozenset({"maximum", "minimum", "highest", "lowest", "largest", "reduced", "waived"})


def shared_words(question: str, text: str) -> float:
    """Return the share of the words of `question` that `text` has, from 0 to 1; 0 for a question without words.

    The scores of a search do not show it: they compare passages with each other, and the nearest may be far away.
    """
    asked = _beginnings(question)
    return len(asked & _beginnings(text)) / len(asked) if asked else 0.0


def answering_sentence(question: str, text: str) -> str:
    """Return the sentence of `text` that shares most with `question`; sentences with a sum of money come first.

    The sentence is quoted, never rephrased. A sentence about a maximum, minimum and the like comes last, unless the
    question is about exactly that.
    """
    asked = _words(question)

    def score(sentence: str) -> tuple[float, int]:
        words = _words(sentence)
        other_meaning = (words & _QUALIFIERS) ^ (asked & _QUALIFIERS)
        points = len(asked & words) + 2 * bool(_FIGURE.search(sentence)) - 2 * len(other_meaning)
        return points, -len(sentence)

    return max(_sentences(text), key=score, default="")


def _sentences(text: str) -> list[str]:
    blocks = _BLOCK_END.split(_HEADING.sub("\n", text))
    joined = [" ".join(block.split()).lstrip("-*| ").replace("**", "") for block in blocks]
    return [sentence for block in joined for sentence in _SENTENCE_END.split(block) if sentence]


def _words(text: str) -> frozenset[str]:
    """Return words of four letters or more; plurals lose their s, so that "deductibles" matches "deductible"."""
    words = re.findall(r"[a-z]{4,}", text.lower())
    return frozenset(word.removesuffix("s") for word in words if word not in _STOP_WORDS)


def _beginnings(text: str) -> frozenset[str]:
    return frozenset(word[:_BEGINNING] for word in _words(text))
