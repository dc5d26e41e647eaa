"""What an administrator does to the database: migrations and context keys."""
