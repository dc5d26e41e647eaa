"""HTTP in front of the protocol: the connection, the gate, what it answers, health, serving."""
