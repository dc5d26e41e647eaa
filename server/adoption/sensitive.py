"""Columns that look like secrets or personal data: they are left out until a person decides otherwise."""

import re
from collections.abc import Collection
from itertools import pairwise
from typing import Final

from server.catalog.facts import ColumnFacts


def words(text: str) -> frozenset[str]:
    """Return the words of a text."""
    return frozenset(text.split())


# Words of a column's name that mean a secret or something that gives access, whatever the column's type.
_SECRETS: Final = words("""
    auth authorization bearer cipher ciphertext cookie credential credentials cvc cvv encrypted fingerprint hash hashed
    hmac jwt key keys mfa nonce otp pass passcode passphrase passwd password passwords pepper pin private pwd salt
    secret secrets seed session signature token tokens totp
""")
# Words that mean personal data.
_PERSONAL: Final = words("""
    address bban bic birth birthdate birthday birthplace card cards cpf curp diagnosis disability dob email emails
    ethnicity gender gps iban ip lat latitude lng longitude maiden mail marital mobile nationality nino passport pesel
    phone phones postal postcode religion salary sex sin ssn street swift telephone tin zip zipcode
""")
# Pairs of words: each word alone is harmless.
_PAIRS: Final = frozenset(
    {
        ("account", "number"),
        ("bank", "account"),
        ("identity", "number"),
        ("national", "id"),
        ("routing", "number"),
        ("social", "security"),
        ("tax", "id"),
        ("tax", "number"),
        ("user", "agent"),
    }
)
# Times, numbers and yes/no values about a secret are not secret: password_changed_at, token_count, has_password.
_HARMLESS: Final = frozenset({"boolean", "timestamp with time zone", "timestamp without time zone"})
_NUMBERS: Final = frozenset({"smallint", "integer", "bigint", "numeric", "real", "double precision", "money"})
# Secrets that can be numbers.
_IN_DIGITS: Final = frozenset({"cvc", "cvv", "otp", "pin", "totp", "nonce", "seed"})
# Words that are often joined to another word: apikey, accesstoken, passwordhash.
_GLUED: Final = ("apikey", "password", "passwd", "privatekey", "secret", "token")
_GLUED_PERSONAL: Final = (
    "accountnumber",
    "address",
    "bankcard",
    "birthdate",
    "cardnumber",
    "creditcard",
    "email",
    "phone",
    "phonenumber",
)
_WORDS: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+|[^\W\d_a-zA-Z]+")


def why_sensitive(column: ColumnFacts, values: Collection[str] = (), *, refers: bool = False) -> str | None:
    """Return why a column should be left out, judged by its name and type; None when it may be declared.

    `values` are all its possible values, where the database limits them; `refers` says that it is in a foreign key.
    """
    named = words_of(column.name)
    if values or refers or column.base in _HARMLESS:
        return None
    if named[-1:] == ["id"] and column.base in {"uuid", *_NUMBERS} and tuple(named[-2:]) not in _PAIRS:
        return None
    secrets = (_SECRETS & set(named)) | {part for part in _GLUED for word in named if word.endswith(part)}
    secrets |= {part for part in _GLUED[:4] for word in named if word.startswith(part)}
    if column.base in _NUMBERS:
        secrets &= _IN_DIGITS
    if secrets:
        return f"looks like a secret ({min(secrets)})"
    pairs = [pair for pair in pairwise(named) if pair in _PAIRS]
    personal = [*(_PERSONAL & set(named)), *(" ".join(pair) for pair in pairs)]
    personal += [part for part in _GLUED_PERSONAL for word in named if word.endswith(part)]
    return f"looks like personal data ({min(personal)})" if personal else None


def words_of(name: str) -> list[str]:
    """Return the words of a name in lower case: `apiKey_2` → api, key, 2."""
    return [word.lower() for word in _WORDS.findall(name)]
