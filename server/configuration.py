"""Read the settings from one TOML file and environment variables, once; every mistake is one line."""

import os
import re
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from pydantic import SecretStr, ValidationError

from server.errors import SettingsError
from server.secret_files import FOLDER_VARIABLE, check_settings_file, file_of
from server.setting_names import check_variable
from server.settings import CONFIG_VARIABLE, PREFIX, SAMPLE, Settings

# Variables of other parts of the project, which are not settings.
_OTHER_PREFIXES: Final = (
    *(CONFIG_VARIABLE, FOLDER_VARIABLE, "TENANTGATE_DEV_", "TENANTGATE_DEMO_"),
    # Where the workers of one start send their metrics.
    "TENANTGATE_METRICS_SOCKET",
)


# A key of a settings file, such as an issuer's own name of a scope; it does not match "function-after[…]".
_KEY: Final = re.compile(r"[^()\[\]]+")
# The settings that a server needs and that have no default.
SERVING: Final = ("resource_url", "issuers", "database.url", "database.context_keys")


def load_settings(config: Path | None = None, needs: Sequence[str] = (), **overrides: object) -> Settings:
    """Read the settings from `config` (else TENANTGATE_CONFIG) and the environment; flags in `overrides` win.

    `needs` names the keys that the verb requires. Paths are relative to the settings file. Raises SettingsError with
    one line that names the key and the remedy.
    """
    # Through the environment, so that worker processes read the same file.
    if config is not None:
        os.environ[CONFIG_VARIABLE] = str(config)
    os.environ.update({PREFIX + name.upper(): str(value) for name, value in overrides.items() if value is not None})
    file = os.environ.get(CONFIG_VARIABLE)
    if file and not Path(file).is_file():
        raise SettingsError(f"the settings file {file} does not exist; name an existing one with --config")
    _refuse_wrong_variables()
    try:
        if file:
            check_settings_file(Path(file), tomllib.loads(Path(file).read_text(encoding="utf-8")), Settings)
        settings = _with_paths(Settings(), Path(file).parent if file else Path())
    except ValidationError as error:
        raise SettingsError(_one_line(error)) from error
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"the settings file {file} is not valid TOML: {error}; correct it") from error
    except (OSError, ValueError) as error:  # an unreadable file, or a variable that is not JSON
        raise SettingsError(
            f"the settings cannot be read: {error}; correct the settings file or the variable"
        ) from error
    require(settings, needs)
    return settings


def current_settings() -> Settings | None:
    """Return what the sources of load_settings() say now; None when they cannot be read."""
    try:
        return load_settings()
    except SettingsError:
        return None


def require(settings: Settings, needs: Sequence[str]) -> None:
    """Raise SettingsError that names each key of `needs` that is not set."""
    missing = [key for key in needs if not _value(settings, key)]
    if missing:
        raise SettingsError("; ".join(f"{key}: {_missing(key.split('.'))}" for key in missing))


def _value(settings: Settings, key: str) -> object:
    value: Any = settings
    for part in key.split("."):
        value = getattr(value, part)
    return value.get_secret_value() if isinstance(value, SecretStr) else value


def _with_paths(settings: Settings, base: Path) -> Settings:
    """Return the settings with the folders of the catalog and of the migrations, and the trail, as absolute paths."""

    def resolved(paths: Sequence[str]) -> tuple[str, ...]:
        return tuple(path if path == SAMPLE else str((base / Path(path).expanduser()).absolute()) for path in paths)

    trail = settings.audit.path
    audit = settings.audit.model_copy(update={"path": trail and (base / trail.expanduser()).absolute()})
    return settings.model_copy(
        update={"catalog": resolved(settings.catalog), "migrations": resolved(settings.migrations), "audit": audit}
    )


def settings_variables() -> list[str]:
    """Return the names of all environment variables that look like settings, known or not."""
    return [name for name in os.environ if name.startswith(PREFIX) and not name.startswith(_OTHER_PREFIXES)]


def _refuse_wrong_variables() -> None:
    for name in settings_variables():
        if file_of(Settings, name, PREFIX) is None:
            check_variable(Settings, name, PREFIX, os.environ[name])


def _one_line(error: ValidationError) -> str:
    problems: list[str] = []
    for problem in error.errors(include_url=False, include_input=False):
        # For a value of several possible types, pydantic adds the type to the place.
        place = ".".join(str(part) for part in problem["loc"] if _KEY.fullmatch(str(part)))
        if not str(problem["loc"][-1:]).startswith('("literal['):
            problems.append(f"{place or 'settings'}: {_sentence(problem)}")
    return "; ".join(problems)


def _sentence(problem: Any) -> str:
    match problem["type"]:
        case "missing":
            return _missing([str(part) for part in problem["loc"]])
        case "extra_forbidden":
            return "is not a tenantgate setting; correct its name or remove it"
        case _:
            return str(problem["msg"]).removeprefix("Value error, ")


def _missing(parts: Sequence[str]) -> str:
    return f"is missing; set it in the settings file or as {PREFIX}{'__'.join(part.upper() for part in parts)}"
