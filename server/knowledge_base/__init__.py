"""Bedrock's Retrieve: the isolating conditions, a bounded call, its errors."""
