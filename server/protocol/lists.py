"""The lists of tools, prompts and resources, which the SDK turns into JSON once per protocol version."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from pydantic_core import to_json

from server.http.outcome import Headers, Outcome, VerifiedRequest
from server.protocol.plain import plain_list


@dataclass(frozen=True, slots=True)
class _Kept:
    """An answer of the SDK behind its id, and what was known about the request beside its caller."""

    end: bytes
    headers: Headers
    known: dict[str, Any]


class KeptLists:
    """Answers a plain request for a list with the bytes that the SDK made of it the first time.

    These lists are the same for everyone and for the life of the process. Without this, one list of 400 tools holds the
    event loop for 165 ms each time.
    """

    def __init__(self, rest: Callable[[VerifiedRequest, Any], Awaitable[Outcome]]) -> None:
        """Leave to `rest` the first of each list, and everything else."""
        self._rest: Final = rest
        self._kept: Final = dict[tuple[str, str], _Kept]()

    def __len__(self) -> int:
        """Return how many answers are kept."""
        return len(self._kept)

    async def __call__(self, request: VerifiedRequest, message: Any) -> Outcome:
        """Return what the request came to."""
        asked = plain_list(request, message)
        if asked is None:
            return await self._rest(request, message)
        begin = b'{"jsonrpc":"2.0","id":' + to_json(asked.id) + b","
        kept = self._kept.get((asked.method, asked.version))
        if kept is not None:
            return Outcome(200, begin + kept.end, kept.headers, request.decision(**kept.known))
        outcome = await self._rest(request, message)
        # An id that the SDK writes in another way is no example for the others.
        if outcome.status == 200 and outcome.body.startswith(begin + b'"result":'):
            beside = zip(outcome.decision._asdict().items(), request.decision(), strict=True)
            known = {name: value for (name, value), of_caller in beside if value != of_caller}
            self._kept[asked.method, asked.version] = _Kept(outcome.body.removeprefix(begin), outcome.headers, known)
        return outcome
