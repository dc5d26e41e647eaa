"""How documents get in safely: check the folder, upload, ingest, write canaries."""
