"""Getting documents in with the right labels: what a side-car is, what is wrong with a folder, and the upload."""
