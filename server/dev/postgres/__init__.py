"""Embedded PostgreSQL: the programs of a wheel, started by our own launcher."""
