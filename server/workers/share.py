"""The part of the database's connections that one of several workers has."""

from dataclasses import dataclass

from server.settings import Settings


@dataclass(frozen=True, slots=True)
class Place:
    """A worker's number, from 0, and how many workers there are; a new worker in a place has its number."""

    worker: int = 0
    workers: int = 1

    def share(self, settings: Settings) -> Settings:
        """Return the settings with this worker's part of `database.pool_size`; all parts together are the whole."""
        whole = settings.database
        own = whole.connections_per_tenant
        database = whole.model_copy(
            update={
                "pool_size": whole.pool_size // self.workers + (self.worker < whole.pool_size % self.workers),
                # Rounded up: nobody is left without a turn.
                "connections_per_tenant": own and -(-own // self.workers),
            }
        )
        return settings.model_copy(update={"database": database})
