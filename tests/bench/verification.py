"""What it costs to verify a token: the first time, and each time it comes again.

`python tests/bench/verification.py [CPU_MICROSECONDS_OF_A_CALL]` prints the figures as JSON; `measure` returns them.
"""

import asyncio
import json
import sys
import time
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.issuer import Issuer, private_key, public_jwk

from server.auth.verifier import TokenVerifier
from server.database.context_keys import new_context_key
from server.dev.preparation import development_settings

RESOURCE = "https://mcp.example.com/mcp"
ROUNDS = 7
TOKENS = 200


def measure(call_us: float | None = None) -> dict[str, float]:
    """Return CPU microseconds for a token, medians of some rounds; with `call_us`, also the share of a tool call."""
    with Issuer(aud=RESOURCE, token_use="access", scope="claims:read", username="somebody").running() as issuer:
        issuer.jwks.append(public_jwk(private_key("EC", "curve"), "curve"))
        return asyncio.run(_measured(issuer, call_us))


async def _measured(issuer: Issuer, call_us: float | None) -> dict[str, float]:
    settings = development_settings(RESOURCE, issuer.url, "postgresql://nobody@127.0.0.1:1/x", new_context_key("k"))
    verifier = TokenVerifier(settings, ("claims:read", "policies:read"))
    await verifier.verify(issuer.token())
    curve = {"header": {"alg": "ES256", "kid": "curve"}, "private": private_key("EC", "curve")}
    first: dict[str, list[float]] = {"first_rs256_us": [], "first_es256_us": [], "repeated_us": []}
    for number in range(ROUNDS):
        rs256 = [issuer.token(jti=f"{number}-{one}") for one in range(TOKENS)]
        es256 = [issuer.token(jti=f"{number}-{one}", **curve) for one in range(TOKENS)]
        first["first_rs256_us"].append(await _cost_us(verifier, rs256))
        first["first_es256_us"].append(await _cost_us(verifier, es256))
        first["repeated_us"].append(await _cost_us(verifier, rs256))
    await verifier.close()
    figures = {name: round(median(costs), 2) for name, costs in first.items()}
    if call_us is not None:
        figures["repeated_share_of_call"] = round(figures["repeated_us"] / call_us, 4)
        figures["first_rs256_share_of_call"] = round(figures["first_rs256_us"] / call_us, 4)
    return figures


async def _cost_us(verifier: TokenVerifier, tokens: list[str]) -> float:
    started = time.thread_time()
    for token in tokens:
        await verifier.verify(token)
    return (time.thread_time() - started) / len(tokens) * 1e6


if __name__ == "__main__":
    print(json.dumps(measure(float(sys.argv[1]) if len(sys.argv) > 1 else None)))
