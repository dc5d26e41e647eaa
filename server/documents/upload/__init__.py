"""Bring documents in safely: check the folder, upload, ingest, canaries."""
