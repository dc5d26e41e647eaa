"""The page "Try to break it": each attempt runs against the real parts of the development stack.

endpoint -> attempt (sql, argument, token, prompt) -> report (what each wall did, and how that was measured)

Only the web demo's server mounts this, and only with a development stack on this machine: the page compares what a
person received with what the database's owner sees, which no production server may offer.
"""
