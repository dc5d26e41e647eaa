"""The settings of one identity provider."""

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, StrictBool, StrictInt, StrictStr, model_validator

from server.settings.values import Algorithm, ClaimPath, IssuerScope, Scope, Section, Url, plain_claim_path


class IssuerSettings(Section):
    """One identity provider whose access tokens are accepted, and how its claims are read."""

    issuer: Annotated[Url, Field(max_length=200)]
    """the exact `iss` of its tokens"""
    jwks_url: Url | Literal[""] = ""
    """the address of its keys"""
    audiences: tuple[str, ...] = ()
    """accepted `aud`, besides `resource_url`"""
    client_ids: tuple[str, ...] = ()
    """accepted `client_id` if a token has no `aud` (Cognito); `audiences` or `client_ids` is required"""
    algorithms: Annotated[tuple[Algorithm, ...], Field(min_length=1)] = ("RS256",)
    """accepted signature algorithms: RS, PS and ES with 256, 384, 512, `EdDSA`, `Ed25519`; never symmetric"""
    token_type: str | None = None
    """required `typ`, such as `at+jwt` (RFC 9068)"""
    token_use: str | None = None
    """required value of that claim, such as `access` (Cognito)"""
    # Whether tokens bound to their sender's key are accepted (RFC 9449), and whether other tokens are.
    dpop: Literal["off", "accepted", "required"] = "off"
    """tokens that are bound to a key of the client: `"accepted"` besides plain ones, or `"required"`; see
    [DPoP](identity.md#tokens-that-are-bound-to-a-key-dpop)"""
    required_claims: Mapping[str, StrictBool | StrictInt | StrictStr] = {}
    """claims and the values that they must have, such as `{ role = "authenticated" }`, to distinguish this issuer's
    access tokens"""
    max_lifetime_s: Annotated[int, Field(ge=60)] = 86_400
    """a token with a longer lifetime is refused"""
    tenant_claims: tuple[ClaimPath, ...] = ("tenant_id", "custom:tenant_id")
    """[claim paths](identity.md#claim-paths): dots for nesting, `.*` for the keys of a map; those present must agree"""
    tier_claim: Annotated[str, AfterValidator(plain_claim_path)] = "cognito:groups"
    """claim path of the person's groups"""
    scope_map: Mapping[Scope, Annotated[tuple[IssuerScope, ...], Field(min_length=1)]] = {}
    """our scope → this issuer's names for it, at least one"""
    scopes_granted: tuple[Scope, ...] = ()
    """scopes that every token of this issuer has"""

    @model_validator(mode="after")
    def _someone_is_meant(self) -> Self:
        if not self.audiences and not self.client_ids:
            raise ValueError("name `audiences` or `client_ids`: otherwise tokens made for other services are accepted")
        return self

    def names_of(self, scope: Scope) -> tuple[str, ...]:
        """Return the names under which this issuer grants `scope`, the preferred one first."""
        return self.scope_map.get(scope, (scope,))
