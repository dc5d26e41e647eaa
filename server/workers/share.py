"""The share of the database connections that one of several workers has."""

from dataclasses import dataclass

from server.settings import Settings


@dataclass(frozen=True, slots=True)
class WorkerPlace:
    """A worker's number, from 0, and the number of workers; a worker that replaces another gets its number."""

    worker: int = 0
    workers: int = 1

    def share(self, settings: Settings) -> Settings:
        """Return the settings with this worker's share of `database.pool_size`; the shares add up to the setting."""
        whole = settings.database
        own = whole.connections_per_tenant
        database = whole.model_copy(
            update={
                "pool_size": whole.pool_size // self.workers + (self.worker < whole.pool_size % self.workers),
                # Rounded up, so that it is never 0.
                "connections_per_tenant": own and -(-own // self.workers),
            }
        )
        return settings.model_copy(update={"database": database})
