"""The labels that Bedrock allows: the limits of RetrievalFilter and the reserved names.

Source: RetrievalFilter and FilterAttribute of the Agents for Amazon Bedrock Runtime API.
"""

from typing import Final

RESERVED_PREFIXES: Final = ("x-amz-bedrock", "_")
KEY_CHARACTERS: Final = range(1, 101)
# `andAll` takes 2 to 5 members; a single condition is sent without it.
MAXIMUM_CONDITIONS: Final = 5


def label_problem(name: str) -> str | None:
    """Return why documents cannot be filtered by this label, with the remedy; None when they can."""
    if len(name) not in KEY_CHARACTERS:
        return f"the label {name[:100]!r} must have 1 to 100 characters; rename it"
    if name.startswith(RESERVED_PREFIXES):
        return f"the label {name!r} has a reserved prefix ({', '.join(RESERVED_PREFIXES)}); rename it"
    return None
