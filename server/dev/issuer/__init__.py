"""The development identity provider."""
