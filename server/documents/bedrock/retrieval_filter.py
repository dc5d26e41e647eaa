"""Conditions as Bedrock's RetrievalFilter: `equals` and `in`, which every vector store supports, in one `andAll`."""

from collections.abc import Sequence
from typing import Any

from server.documents.bedrock.labels import MAXIMUM_CONDITIONS, label_problem
from server.documents.store import Condition
from server.errors import ArgumentsError


def retrieval_filter(conditions: Sequence[Condition]) -> dict[str, Any]:
    """Return one filter with all conditions at the outermost level.

    Raises ArgumentsError for no condition, too many conditions, or a label that Bedrock reserves.
    """
    if not 1 <= len(conditions) <= MAXIMUM_CONDITIONS:
        raise ArgumentsError(f"A search must have 1 to {MAXIMUM_CONDITIONS} conditions; nothing was read.")
    if problem := next((problem for one in conditions if (problem := label_problem(one.key))), None):
        raise ArgumentsError(f"The search cannot be narrowed by this label, and nothing was read: {problem}.")
    filters = [_operator(condition) for condition in conditions]
    return filters[0] if len(filters) == 1 else {"andAll": filters}


def _operator(condition: Condition) -> dict[str, Any]:
    if len(condition.allowed) == 1:
        return {"equals": {"key": condition.key, "value": condition.allowed[0]}}
    return {"in": {"key": condition.key, "value": list(condition.allowed)}}
