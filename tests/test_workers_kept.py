"""What a reload must not begin anew: proofs that were used, and keys of a provider that is away at that moment."""

import asyncio
import time
from collections.abc import Iterator

import pytest
from support.dpop import RESOURCE, bound, proof
from support.issuer import Issuer, answer
from test_dpop import SCOPES, settings_of

from server.auth import keys
from server.auth.used_proofs import UsedProofs
from server.auth.verifier import TokenVerifier
from server.errors import IssuerUnavailableError, ProofRefusedError


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with Issuer(aud=RESOURCE, scope="claims:read", tenant_id="acme").running() as running:
        yield running


def test_a_proof_that_was_used_before_a_reload_is_not_good_after_it(issuer) -> None:
    """R221."""

    async def run() -> None:
        used, settings, token = UsedProofs(), settings_of(issuer), bound(issuer)
        shown = proof(token)
        before, after = TokenVerifier(settings, SCOPES, used), TokenVerifier(settings, SCOPES, used)
        assert (await before.verify(token, None, shown)).subject == "somebody"
        with pytest.raises(ProofRefusedError):
            await after.verify(token, None, shown)
        await before.close()
        await after.close()

    asyncio.run(run())


def test_a_provider_that_is_away_during_a_reload_ends_nobody_and_its_keys_get_no_younger(issuer, monkeypatch) -> None:
    """R222."""

    async def run() -> None:
        settings, token = settings_of(issuer), issuer.token()
        before, after, alone = (TokenVerifier(settings, SCOPES) for _ in range(3))
        await before.verify(token)
        issuer.answers["/.well-known/openid-configuration"] = answer(b"away", 503)
        await after.replace(before.key_sets)
        assert (await after.verify(token)).subject == "somebody"
        with pytest.raises(IssuerUnavailableError):
            await alone.verify(token)
        # As long as before, and no longer.
        began = time.monotonic()
        monkeypatch.setattr("server.auth.keys.time.monotonic", lambda: began + keys.MAXIMUM_AGE_S)
        with pytest.raises(IssuerUnavailableError):
            await after.verify(issuer.token(sub="another"))
        for one in (before, after, alone):
            await one.close()

    asyncio.run(run())


def test_keys_are_fetched_anew_by_a_reload(issuer) -> None:
    async def run() -> None:
        settings = settings_of(issuer)
        before, after = TokenVerifier(settings, SCOPES), TokenVerifier(settings, SCOPES)
        # Nobody has asked for them yet.
        await after.replace({})
        assert issuer.key_set_fetches == 0
        await before.verify(issuer.token())
        await after.replace(before.key_sets)
        assert issuer.key_set_fetches == 2
        await before.close()
        await after.close()

    asyncio.run(run())
