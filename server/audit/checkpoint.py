"""Checkpoints: signed statements of a chain's state, which somebody who can rewrite its files cannot forge."""

import json
from dataclasses import asdict, dataclass, field
from typing import Any, Final, cast

import jwt
from jwt.api_jws import PyJWS

from server.audit.delegation import borrowed_key
from server.audit.keys import PublicKeys, TrailSigner

_JWS: Final = PyJWS(algorithms=["EdDSA"])
_TYPE: Final = "tenantgate-checkpoint"


@dataclass(frozen=True, slots=True)
class CheckpointStatement:
    """What a checkpoint says about the records `first` to `last` of one chain.

    `hash` is that of the last record and covers every record before it. `epoch` is the number of the last `begin`
    record, and `before` the hash before that record. `root` is the Merkle root of the records `first` to `last`;
    `tenants` is the hash of the table with each tenant's number of records since `epoch`. `others` has the last number
    of each other worker's chain. The next checkpoint is due after at most `every` records.
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

    def signed(self, key: TrailSigner) -> str:
        """Return the statement as a compact JWS (RFC 7515, RFC 8037); raises OSError where nothing can sign now."""
        payload = json.dumps(asdict(self), separators=(",", ":")).encode()
        private, more = key.lent()
        return _JWS.encode(payload, private, algorithm="EdDSA", headers={"typ": _TYPE, "kid": key.kid, **more})


def read_statement(text: Any, keys: PublicKeys) -> CheckpointStatement:
    """Return what a signed statement says; raise ValueError with the reason why it is not trusted."""
    if not isinstance(text, str):
        raise ValueError("the checkpoint has no statement")  # noqa: TRY004  # one error for whatever is wrong
    try:
        header = jwt.get_unverified_header(text)
        key = keys.get(header.get("kid", ""))
        if key is None:
            raise ValueError("the checkpoint is signed by an unknown key")
        if header.get("typ") != _TYPE:
            raise ValueError("the signed statement is not a checkpoint")
        if (delegation := header.get("delegation")) is not None:
            key = borrowed_key(delegation, key, _time_of(text))
        payload: Any = json.loads(_JWS.decode(text, key, algorithms=["EdDSA"]))
        return CheckpointStatement(**cast("dict[str, Any]", payload))
    except (jwt.PyJWTError, TypeError):
        raise ValueError("the checkpoint's signature is not valid") from None


def _time_of(text: str) -> float:
    """Read the statement's time before its signature is checked: it decides which lent key must have signed."""
    payload: Any = json.loads(_JWS.decode(text, options={"verify_signature": False}))
    moment: Any = cast("dict[str, Any]", payload).get("time") if isinstance(payload, dict) else None
    if not isinstance(moment, int | float):
        raise ValueError("the checkpoint has no time")  # noqa: TRY004  # one error for whatever is wrong
    return moment
