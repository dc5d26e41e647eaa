"""The token endpoint's answer: the SDK's model with an ID token."""

from mcp.shared.auth import OAuthToken


class IssuedTokens(OAuthToken):
    """A token response that may carry an ID token (OpenID Connect Core 1.0 section 3.1.3.3)."""

    id_token: str | None = None
