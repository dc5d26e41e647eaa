"""The sample pack: declarations of tables, searches and prompts. The server only knows its folder."""
