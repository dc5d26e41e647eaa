"""Embedded stand-ins for development: real PostgreSQL, a real token issuer, the knowledge base's wire protocol."""
