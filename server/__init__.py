"""The resource server: verify the token, find the tenant, let PostgreSQL and the knowledge base enforce it."""
