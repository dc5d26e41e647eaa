"""The documents: a store behind one protocol, the isolation of tenants and tiers, and the upload."""
