"""Who is calling: from a bearer token on the wire to a verified access token, or a challenge."""
