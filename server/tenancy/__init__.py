"""From a verified token to one tenant, its registry, and its limits."""
