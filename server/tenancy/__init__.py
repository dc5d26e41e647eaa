"""Find the one tenant of a verified token; the registry of tenants, and their limits."""
