"""The administrator's tasks on the database: migrations, context keys and tenants."""
