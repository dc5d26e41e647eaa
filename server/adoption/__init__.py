"""`tenantgate adopt`: an existing database is read, and declarations and migrations are written for it."""
