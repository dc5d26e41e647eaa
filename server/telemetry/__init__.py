"""Traces and metrics: what operators see of the running server, without anybody's data."""
