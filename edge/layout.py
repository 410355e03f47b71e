"""The start-up check that `edge`, `protocols` and `storage` are the three of one installation.

The names of the last two are common. Were one of them taken from elsewhere on the path, the errors would
be riddles.
"""

import importlib
from pathlib import Path

import edge

PACKAGES = ("edge", "protocols", "storage")


class MixedInstallation(Exception):
    """The packages do not belong together; the text says where each came from."""


def check() -> None:
    """Raises MixedInstallation unless the three packages share one parent folder."""
    agree({name: folder_of(name) for name in PACKAGES})


def folder_of(package: str) -> Path:
    """The folder that an import package was found in. Raises MixedInstallation when there is none."""
    try:
        module = importlib.import_module(package)
    except ImportError as error:
        raise MixedInstallation(
            f"The package {package} cannot be imported: {error}. Install trunkline again."
        ) from error
    return Path(next(iter(module.__path__))).resolve().parent


def agree(folders: dict[str, Path]) -> None:
    """Raises MixedInstallation unless all the packages are in one folder."""
    if len(set(folders.values())) > 1:
        places = ", ".join(f"{name} in {folder}" for name, folder in folders.items())
        raise MixedInstallation(
            f"The packages of trunkline come from different folders: {places}. Something else of the same "
            "name is on Python's path; install trunkline into a virtual environment of its own."
        )


def conf_folder() -> Path | None:
    """Where the files of `conf/` are: beside the packages in a checkout, in share/ when installed."""
    import sys

    parent = Path(edge.__file__).resolve().parent.parent
    for folder in (parent / "conf", Path(sys.prefix) / "share" / "trunkline" / "conf"):
        if (folder / "trunkline.toml").is_file():
            return folder
    return None
