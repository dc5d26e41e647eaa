"""The sample pack: declarations of tables, searches and prompts. The server knows nothing of it but its folder."""
