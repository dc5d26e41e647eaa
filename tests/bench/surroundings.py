"""On what something was measured."""

import os
import platform
from collections.abc import Callable
from typing import Any


def measured_on(sender: str, rounds: int, seconds: float, versions: dict[str, str]) -> Callable[[], dict[str, Any]]:
    """Note the load of the machine now; what is returned notes it again at the end, and describes all of it."""
    before = os.getloadavg()[0]

    def described() -> dict[str, Any]:
        return {
            "processors": os.cpu_count(),
            "system": f"{platform.system()} {platform.machine()}",
            "rounds": rounds,
            "seconds": seconds,
            "load_generator": sender,
            "load_before": round(before, 1),
            "load_after": round(os.getloadavg()[0], 1),
            "versions": {"Python": platform.python_version(), **versions},
        }

    return described
