"""Every error that tenantgate raises on purpose.

    TenantgateError
    ├── StartupError            the process cannot start or a verb cannot run: one line, exit code 1
    │   ├── SettingsError       a wrong setting or wrong usage: one line naming the key, exit code 2
    │   │   └── CatalogError    files of the catalog are wrong: one line for each mistake
    │   └── UnreachableError    the database does not answer: a verb fails, a server waits for it
    ├── TokenRefusedError       401: the bearer token is not acceptable; one constant sentence, whatever the reason
    │   └── ProofRefusedError   the DPoP proof sent with the token is not acceptable
    ├── TokenTooLongError       431: the access token is longer than this server reads; a new sign-in does not help
    ├── IssuerUnavailableError  503: the issuer's keys cannot be fetched, so its tokens cannot be checked
    │   └── KeyNotYetKnownError the issuer had no such key a moment ago, and is not asked again yet
    ├── AuditError              503: the audit trail cannot be written, so nothing is answered
    ├── LimitError              429: this person or tenant calls too often
    ├── ForbiddenError          403: the caller is known and may not do this at all
    │   ├── ScopeMissingError   the token lacks the scopes of this tool
    │   └── TenancyError        the token does not give exactly one known, active tenant
    └── ToolError               a tool failed; the model gets the message as a result with isError
        ├── ArgumentsError      unknown, missing or malformed arguments
        ├── RefusedError        this person may not see this; a retry does not help
        ├── WithheldError       a dependency broke the isolation it was asked for; everything it returned was dropped
        ├── MisconfiguredError  a dependency does not accept this server as configured; a retry does not help
        └── UnavailableError    a dependency is down or too slow; a retry may help

The message of every error is one sentence for the caller that says what to do next. Details for an operator that a
caller must not see are only in `__cause__`, which is logged.
"""

from collections.abc import Iterable


class TenantgateError(Exception):
    """The root: `except TenantgateError` catches only errors that were raised on purpose."""


class StartupError(TenantgateError):
    """The process cannot start; the message is one line naming the cause and the remedy."""

    exit_code = 1


class SettingsError(StartupError):
    """A setting or a command line is wrong; the message is one line naming the key and the remedy."""

    exit_code = 2


class CatalogError(SettingsError):
    """Files of the catalog are wrong; `problems` holds one line for each mistake, with file, key and remedy."""

    def __init__(self, problems: Iterable[str]) -> None:
        """Keep every mistake."""
        self.problems = tuple(problems)
        super().__init__("; ".join(self.problems))


class UnreachableError(StartupError):
    """The database does not answer; the message is one line naming the cause and the remedy."""


class TokenRefusedError(TenantgateError):
    """The bearer token is refused. The caller reads one constant sentence (RFC 6750 section 3.1, OWASP ASVS 5.0).

    `reason` is one of a few constant texts; `detail` has its figures. `issuer` is the one whose signature was verified,
    None when no signature was. The caller sees none of them, only the `code` of the challenge and the `message`.
    """

    code = "invalid_token"
    message = "The access token is missing, malformed, expired or not meant for this server; sign in again."

    def __init__(self, reason: str, detail: str | None = None) -> None:
        """Keep the reason and the detail for the log."""
        super().__init__(self.message)
        self.reason = reason
        self.detail = detail
        self.issuer: str | None = None


class ProofRefusedError(TokenRefusedError):
    """The token is valid, but its sender did not prove to hold the key that it is bound to (RFC 9449 section 7.1)."""

    code = "invalid_dpop_proof"
    message = "The DPoP proof is missing, malformed, used before or not made for this request; make a new one."


class TokenTooLongError(TenantgateError):
    """The access token is longer than this server reads; the issuer would give the same one again."""

    def __init__(self, maximum: int) -> None:
        """Say what is too long, and who can change it."""
        super().__init__(
            f"The access token has over {maximum} characters, and a new sign-in would return the same one; ask your "
            "administrator to put fewer groups or claims into it."
        )


class IssuerUnavailableError(TenantgateError):
    """The issuer's key set cannot be fetched, so the token can be neither accepted nor refused."""

    retry_after_s = 5

    def __init__(
        self, issuer: str, message: str = "The identity provider's keys cannot be reached; retry in a few seconds."
    ) -> None:
        """Name the issuer for the log."""
        super().__init__(message)
        self.issuer = issuer


class KeyNotYetKnownError(IssuerUnavailableError):
    """The issuer had no such key when it was asked; it may have published it since (a key that is used early)."""

    def __init__(self, issuer: str, retry_after_s: int) -> None:
        """Say when the issuer can be asked again."""
        super().__init__(
            issuer,
            "The identity provider has not published the key of this access token yet; retry in a few seconds.",
        )
        self.retry_after_s = retry_after_s


class AuditError(TenantgateError):
    """The audit trail cannot be written, so nothing is answered."""

    def __init__(self) -> None:
        """Set the constant message."""
        super().__init__("The server cannot record this access, so it does not answer; retry in a few seconds.")


class LimitError(TenantgateError):
    """A person or tenant is over its budget; `retry_after_s` is a whole number of seconds (RFC 6585 section 4)."""

    def __init__(self, whose: str, retry_after_s: int) -> None:
        """Say whose budget is used up and when it is free again."""
        super().__init__(f"Too many calls from this {whose}; retry in {retry_after_s} s.")
        self.retry_after_s = retry_after_s


class ForbiddenError(TenantgateError):
    """The caller is known and is not allowed to do this; HTTP 403."""


class ScopeMissingError(ForbiddenError):
    """The token lacks a scope; `scopes` are those that it has and the missing one (RFC 6750 section 3.1)."""

    def __init__(self, missing: str, held: tuple[str, ...]) -> None:
        """Name the token's scopes too: a client that requests only the missing one would lose the others."""
        has = f"your token has {' '.join(held)}" if held else "your token has no scope of this server"
        grant = "all of them" if held else "it"
        super().__init__(f"Insufficient scope: this needs {missing}, and {has}; sign in again and grant {grant}.")
        self.scopes = (*held, missing)


class TenancyError(ForbiddenError):
    """The verified token does not give exactly one known, active tenant.

    `reason`, the tenant and the claim's name are for the log; the caller only sees the message.
    """

    def __init__(self, message: str, *, reason: str, tenant: str | None = None, claim: str | None = None) -> None:
        """Keep the fields for the log."""
        super().__init__(message)
        self.reason = reason
        self.tenant = tenant
        self.claim = claim


class ToolError(TenantgateError):
    """A failure that the model should read and can act on; its text says whether a retry may help."""


class ArgumentsError(ToolError):
    """The arguments do not fit the tool's schema; the message names each one and what is allowed."""


class RefusedError(ToolError):
    """This person may not see what was asked for; the same call will be refused again."""


class WithheldError(ToolError):
    """The dependency's answer was not proved to be the caller's own, so all of it was dropped."""


class MisconfiguredError(ToolError):
    """A dependency refuses this server itself: its credentials, its rights or its settings; the log says which."""


class UnavailableError(ToolError):
    """A dependency did not answer in time; nothing was read, and the same call may succeed later.

    `is_throttled` says that it refused the call because there were too many.
    """

    is_throttled = False
