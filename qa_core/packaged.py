"""Models that ship inside a Python package, named ``package:MODULE/FOLDER``: they need no hub, and no path that only
one machine has."""

from __future__ import annotations

import importlib.resources
from pathlib import Path

from qa_core.errors import UserError

_PREFIX = "package:"


def is_packaged(name_or_path: str) -> bool:
    return name_or_path.startswith(_PREFIX)


def install_command(name: str) -> str:
    """What brings the package of ``package:MODULE/FOLDER``, if it is named like its module."""
    module = name.removeprefix(_PREFIX).partition("/")[0]
    return f"pip install {module.partition('.')[0].replace('_', '-')}"


def packaged_folder(name: str, key: str, remedy: str) -> Path:
    """The folder that ``package:MODULE/FOLDER`` names on this machine.

    Args:
        key: the setting that has the name, for the error.
        remedy: what to do about the error.

    Raises:
        UserError: when the package is not installed or has no such folder.
    """
    module, _, folder = name.removeprefix(_PREFIX).partition("/")
    try:
        location = importlib.resources.files(module).joinpath(folder)
    except (ModuleNotFoundError, ValueError, TypeError) as error:
        raise UserError(f"{key}={name}: Python package {module!r} is missing.", remedy) from error
    if not location.is_dir():
        raise UserError(f"{key}={name}: {module} has no folder {folder!r}.", remedy)
    return Path(str(location))
