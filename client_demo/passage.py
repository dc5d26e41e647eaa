"""The sentence of a document's passage that answers a question."""

import re
from typing import Final

_HEADING: Final = re.compile(r"^\s*#.*$", re.MULTILINE)
_BLOCK_END: Final = re.compile(r"\n\s*\n|\n(?=\s*(?:[-*|]|\d+\.)\s)")
_SENTENCE_END: Final = re.compile(r"(?<=[.!?])\s+")
_FIGURE: Final = re.compile(r"\$\s?\d")
_STOP_WORDS: Final = frozenset({"does", "many", "much", "show", "tell", "there", "what", "when", "which", "with"})
# Words that change the meaning of a figure: the maximum deductible does not answer a question about the deductible.
_QUALIFIERS: Final = frozenset({"maximum", "minimum", "highest", "lowest", "largest", "reduced", "waived"})


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

    return max(_sentences(text), key=score, default="The document says nothing about this.")


def _sentences(text: str) -> list[str]:
    blocks = _BLOCK_END.split(_HEADING.sub("\n", text))
    joined = [" ".join(block.split()).lstrip("-*| ").replace("**", "") for block in blocks]
    return [sentence for block in joined for sentence in _SENTENCE_END.split(block) if sentence]


def _words(text: str) -> frozenset[str]:
    """Return words of four letters or more; plurals lose their s, so that "deductibles" matches "deductible"."""
    words = re.findall(r"[a-z]{4,}", text.lower())
    return frozenset(word.removesuffix("s") for word in words if word not in _STOP_WORDS)
