"""`make attack`: what attack tools find against a running server, and what they find against one with a hole."""
