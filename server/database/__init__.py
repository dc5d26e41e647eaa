"""PostgreSQL: the statement, the signed context, the pool, cursors."""
