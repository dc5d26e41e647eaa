"""What follows an examination while it runs: its groups, each check once it is made, and each proved relation."""

from server.doctor.report import Check, Proved


class Watch:
    """Follows an examination; this one ignores everything."""

    def begins(self, group: str) -> None:
        """Follow the checks of `group`, which come next."""

    def looks_at(self, what: str) -> None:
        """Follow the look at `what`, which may take a while."""

    def checked(self, check: Check) -> None:
        """Take a check that was made."""

    def proved(self, one: Proved) -> None:
        """Take a relation whose rows were proved to be isolated."""


class Names:
    """The groups of checks, in the order in which they are made."""

    LOGIN = "Login and core"
    DECLARED = "Declared relations"
    CONTEXTS = "Tenant contexts"
    ROWS = "Rows"
    COUNTS = "Administrator's counts"
    DOCUMENTS = "Documents"
