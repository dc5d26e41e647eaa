"""The audit trail as the settings describe it."""

from server.audit.keys import PublicKeys, SigningKey, parse_signing_key, public_keys
from server.audit.rules import Rules
from server.audit.trail import AuditTrail
from server.settings import AuditSettings


def configured_trail(settings: AuditSettings, *, announced: bool = True) -> AuditTrail | None:
    """Open the trail for writing, None where there is none; raises StartupError.

    With `announced`, checkpoints are lines of the log too.
    """
    if settings.path is None:
        return None
    rules = Rules(
        settings.checkpoint_records,
        settings.checkpoint_s,
        settings.rotate_bytes,
        settings.rotate_s,
        settings.fsync,
        announced,
    )
    return AuditTrail(settings.path, configured_key(settings), rules)


def configured_key(settings: AuditSettings) -> SigningKey | None:
    """Return the key that signs, None where none is set."""
    text = settings.signing_key.get_secret_value()
    return parse_signing_key(text) if text else None


def configured_public_keys(settings: AuditSettings) -> PublicKeys | None:
    """Return every key whose checkpoints are believed, None where trails are not signed."""
    key = configured_key(settings)
    texts = (*settings.public_keys, *((key.public_text(),) if key else ()))
    return public_keys(texts) if texts else None


def audit_notices(settings: AuditSettings) -> tuple[str, ...]:
    """Return what is no mistake and should be known: decisions that are not recorded, or not signed."""
    if settings.path is None:
        return ("no audit trail is kept: who read what is not recorded; set audit.path",)
    if not settings.signing_key.get_secret_value():
        return ("the audit trail is not signed; make a key with `tenantgate audit keys` and set audit.signing_key",)
    return ()
