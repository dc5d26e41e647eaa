"""Proofs of isolation: checks, live proofs, and the proof that a serving process requires."""
