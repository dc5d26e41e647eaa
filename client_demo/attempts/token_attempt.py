"""A token with claims that the person changed: signed with an unknown key, not signed, or with the old signature."""

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.utils import base64url_encode

from client_demo.attempts.argument_attempt import read_object, said
from client_demo.attempts.call import Reply, another_source, call_tool
from client_demo.attempts.call_walls import walls_of
from client_demo.attempts.report import Record, Run, Wall
from client_demo.attempts.scene import Scene

# If a forged token were accepted, this call would show whose rows it gets.
_CALL: Final = "query_claims"


def attempt_token(scene: Scene) -> list[Run]:
    """Send the claims that the person wrote as three forged tokens; raise InvalidError when they are no JSON object."""
    claims, own = read_object(scene.text, "The claims"), scene.person.token
    # What comes back is compared with what others own; claims that name it are no excuse.
    scene = replace(scene, text="")
    runs: list[Run] = []
    for title, how, token in _forged(own, claims):
        reply = call_tool(scene.place.mcp_url, token, _CALL, {}, another_source() if sys.platform == "linux" else None)
        [record] = scene.records.of([(reply.request, reply.status)])
        walls = walls_of(scene, reply, record)
        walls = [_gate(walls[0], reply, record, is_forged=token != own), *walls[1:]]
        runs.append(Run(title, how, walls, *said(reply), records=[record]))
    return runs


def _gate(wall: Wall, reply: Reply, record: Record, *, is_forged: bool) -> Wall:
    if reply.status == 401:
        logged = (record.log or record.audit or {}).get("refused")
        cause = (record.log or {}).get("cause")
        why = (
            f"The operator's log names the check: {logged}{f' ({cause})' if cause else ''}."
            if logged
            else "The log only counted this refusal, because the same one was written a moment ago."
        )
        return Wall("gate", "stopped", f"HTTP 401. The answer does not say which check failed. {why}")
    if reply.status not in {200, 403}:
        return Wall("gate", "unknown", f"HTTP {reply.status}: {reply.text}")
    if is_forged:
        return Wall("gate", "failed", "The server accepted a token that its issuer did not sign.")
    return Wall("gate", "passed", f"You changed nothing, so this is your own token. {wall.evidence}")


def _forged(token: str, claims: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    header, _, signature = token.split(".")
    payload = json.dumps(claims, separators=(",", ":")).encode()
    names = jwt.get_unverified_header(token)
    unknown = jwt.PyJWS().encode(
        payload, _unknown_key(), "RS256", headers={name: names[name] for name in ("kid", "typ") if name in names}
    )
    yield "Signed with a key of your own", "The key id is the real one; the key is not.", unknown
    plain = base64url_encode(json.dumps({**names, "alg": "none"}, separators=(",", ":")).encode()).decode()
    body = base64url_encode(payload).decode()
    yield "Not signed at all", 'The header says "alg": "none", and the signature is empty.', f"{plain}.{body}."
    how = "Header and signature are those of your own token; only the claims are different."
    yield "With the signature of your real token", how, f"{header}.{body}.{signature}"


@cache
def _unknown_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)
