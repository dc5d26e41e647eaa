"""A Strands agent that uses the server as any client does: over HTTP, with the signed-in person's own token."""
