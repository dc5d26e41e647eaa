"""The documents: a store behind one protocol, what keeps tenants and tiers apart, and how documents get in."""
