"""`tenantgate adopt` reads an existing database and writes declarations and migrations for it."""
