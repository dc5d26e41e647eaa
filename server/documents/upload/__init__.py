"""The safe upload of documents: check the folder, upload, ingest, write canaries."""
