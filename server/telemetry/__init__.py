"""Traces and metrics: what operators see of the server while it runs, and never whose data it is."""
