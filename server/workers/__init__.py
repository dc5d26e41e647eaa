"""The processes that serve: one that supervises, workers that answer, and how each takes new settings."""
