"""What an operator should know of the trail as it is configured."""

from server.settings import AuditSettings


def audit_notices(settings: AuditSettings) -> tuple[str, ...]:
    """Return what is no mistake and should be known: decisions that are not recorded, or not signed."""
    if settings.path is None:
        return ("no audit trail is kept: who read what is not recorded; set audit.path",)
    if not settings.signing_key.get_secret_value():
        return ("the audit trail is not signed; make a key with `tenantgate audit keys` and set audit.signing_key",)
    return ()
