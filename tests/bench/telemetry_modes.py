"""The modes of telemetry that are compared: the part of the requests that is traced, None without traces."""

from typing import Final

OFF: Final = "off"
DEFAULT: Final = "metrics, 5 % traced"
MODES: Final[dict[str, float | None]] = {OFF: None, "metrics": None, DEFAULT: 0.05, "metrics, all traced": 1.0}
