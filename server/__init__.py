"""The resource server: verify the token, find the tenant, let PostgreSQL and the knowledge base enforce it."""

import sys
from typing import Any, cast

if "structlog" not in sys.modules and "rich" not in sys.modules:
    # Otherwise structlog would load rich, pygments and attrs for coloured tracebacks, which no log here has: 4 MB per
    # worker, and a thirtieth of its start. Verbs that print tables load rich themselves.
    cast("dict[str, Any]", sys.modules)["rich"] = None
    try:
        import structlog as structlog
    finally:
        del sys.modules["rich"]
