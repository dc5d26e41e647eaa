"""A source of chance for pauses and samples that are not secret, apart from the one that `random` shares."""

import random
from typing import Final

# Tests fix the state of the shared one and notice when a server in their process changes it.
CHANCE: Final = random.Random()  # noqa: S311
