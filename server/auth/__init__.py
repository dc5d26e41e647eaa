"""Authentication: a request's bearer token becomes a verified access token, or the answer is a challenge."""
