"""Checkpoints: signed statements of how far a chain has come, which whoever can rewrite its files cannot make."""

import json
from dataclasses import asdict, dataclass, field
from typing import Any, Final, cast

import jwt
from jwt.api_jws import PyJWS

from server.audit.keys import PublicKeys, SigningKey

_JWS: Final = PyJWS(algorithms=["EdDSA"])
_TYPE: Final = "tenantgate-checkpoint"


@dataclass(frozen=True, slots=True)
class Statement:
    """What a checkpoint says of the records `first` to `last` of one chain.

    `hash` is that of the last record; it covers every record before. `epoch` is the number of the last `begin` record,
    and `before` the hash before that one. `root` is the Merkle root over the records `first` to `last`, `tenants` the
    hash of the table of how many records each tenant has since `epoch`. `others` has the number that each other
    worker's chain had reached. `every` is after how many records the next checkpoint is due at the latest.
    """

    chain: str
    name: str
    epoch: int
    before: str
    first: int
    last: int
    hash: str
    root: str
    tenants: str
    every: int
    time: float
    others: dict[str, int] = field(default_factory=dict[str, int])

    def signed(self, key: SigningKey) -> str:
        """Return the statement as a compact JWS (RFC 7515, RFC 8037)."""
        payload = json.dumps(asdict(self), separators=(",", ":")).encode()
        return _JWS.encode(payload, key.private, algorithm="EdDSA", headers={"typ": _TYPE, "kid": key.kid})


def read_statement(text: Any, keys: PublicKeys) -> Statement:
    """Return what a signed statement says; raise ValueError that says why it is not believed."""
    if not isinstance(text, str):
        raise ValueError("the checkpoint has no statement")  # noqa: TRY004  # one error for whatever is wrong
    try:
        header = jwt.get_unverified_header(text)
        key = keys.get(header.get("kid", ""))
        if key is None:
            raise ValueError("the checkpoint is signed by a key that is not known here")
        if header.get("typ") != _TYPE:
            raise ValueError("the signed statement is no checkpoint")
        payload: Any = json.loads(_JWS.decode(text, key, algorithms=["EdDSA"]))
        return Statement(**cast("dict[str, Any]", payload))
    except (jwt.PyJWTError, TypeError):
        raise ValueError("the checkpoint's signature does not hold") from None
