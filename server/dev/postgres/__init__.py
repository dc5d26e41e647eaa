"""Embedded PostgreSQL: the wheel's programs under a launcher of our own."""
