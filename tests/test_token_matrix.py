"""Each row of tests/support/token_matrix.py is answered as it says, and docs/identity.md has the same rows.

Among them are case 06 (one `kid` for several keys), case 07 (`nonce` in an access token) and case 09 (long tokens).
"""

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest
from support.dpop import RESOURCE, proof
from support.issuer import Issuer
from support.token_matrix import ROWS, Row, keys_of, token_of

from server.auth.verifier import TokenVerifier
from server.database.database import Database
from server.errors import IssuerUnavailableError, TenancyError, TokenRefusedError, TokenTooLongError
from server.settings import Settings
from server.tenancy.context import Tenancy
from server.tenancy.registry import TenantDirectory

DOCUMENT = (Path(__file__).parents[1] / "docs" / "identity.md").read_text(encoding="utf-8")


def settings_of(row: Row, issuer: Issuer) -> Settings:
    described = {"issuer": issuer.url, "audiences": [RESOURCE], "tier_claim": "groups", **row.settings}
    tenancy = {"registry": False, "tiers": ["regular"]}
    return Settings.model_validate({"resource_url": RESOURCE, "issuers": [described], "tenancy": tenancy})


async def answered(row: Row, issuer: Issuer) -> tuple[str, str]:
    """Return the answer, and what the caller and the log are told."""
    settings = settings_of(row, issuer)
    verifier = TokenVerifier(settings, ("claims:read",))
    tenancy = Tenancy(settings, TenantDirectory(Database(settings.database)))
    try:
        text = token_of(row, issuer)
        token = await verifier.verify(text, None, proof(text) if row.proved else None)
        context = await tenancy.resolve(token, None)
    except TokenRefusedError as error:
        return "401", f"{error.reason}: {error.detail}"
    except TokenTooLongError as error:
        return "431", str(error)
    except IssuerUnavailableError as error:
        return "503", str(error)
    except TenancyError as error:
        return "403", str(error)
    finally:
        await verifier.close()
    assert context.tenant in {"broker-a", "acme", "org_9ybsU1dN2dKfDkBi"}
    return f"accepted, a {'client' if token.is_client else 'person'}", f"{context.tier} {context.why_no_tier}"


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.token)
def test_a_token_of_the_matrix_is_answered_as_its_row_says(row: Row, capsys) -> None:
    with Issuer(aud=RESOURCE, scope="claims:read", tenant_id="broker-a").running() as issuer:
        issuer.jwks = keys_of(row, issuer)
        answer, told = asyncio.run(answered(row, issuer))
    expected = row.answer.split(", then ")[0]
    assert answer == expected or answer == f"{expected}, a person", told
    if not row.answer.endswith("503"):
        assert row.told in told + capsys.readouterr().out


def test_the_document_has_the_rows_of_the_matrix() -> None:
    table = re.search(r"^\| token \| answer \| \|\n\|---\|---\|---\|\n((?:\|.*\n)+)", DOCUMENT, re.MULTILINE)
    assert table is not None
    documented = [line.strip("| ").split(" | ") for line in table[1].splitlines()]
    rows: list[list[Any]] = [[one for one in (row.token, row.answer, row.remark) if one] for row in ROWS]
    assert documented == rows
