"""Checkpoints: signed statements of how far a chain has come, which whoever can rewrite its files cannot make."""

import json
from dataclasses import asdict, dataclass, field
from typing import Any, Final, cast

import jwt
from jwt.api_jws import PyJWS

from server.audit.delegation import borrowed_key
from server.audit.keys import PublicKeys, Signer

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

    def signed(self, key: Signer) -> str:
        """Return the statement as a compact JWS (RFC 7515, RFC 8037); raises OSError where nothing can sign now."""
        payload = json.dumps(asdict(self), separators=(",", ":")).encode()
        private, more = key.lent()
        return _JWS.encode(payload, private, algorithm="EdDSA", headers={"typ": _TYPE, "kid": key.kid, **more})


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
        if (delegation := header.get("delegation")) is not None:
            key = borrowed_key(delegation, key, _time_of(text))
        payload: Any = json.loads(_JWS.decode(text, key, algorithms=["EdDSA"]))
        return Statement(**cast("dict[str, Any]", payload))
    except (jwt.PyJWTError, TypeError):
        raise ValueError("the checkpoint's signature does not hold") from None


def _time_of(text: str) -> float:
    """Return the time that a statement names, before its signature is checked with the key that was lent for then."""
    payload: Any = json.loads(_JWS.decode(text, options={"verify_signature": False}))
    moment: Any = cast("dict[str, Any]", payload).get("time") if isinstance(payload, dict) else None
    if not isinstance(moment, int | float):
        raise ValueError("the checkpoint names no time")  # noqa: TRY004  # one error for whatever is wrong
    return moment
