"""The serving processes: a supervisor, workers that answer requests, and the reload of settings."""
