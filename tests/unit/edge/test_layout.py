"""The start-up check of the three packages."""

from pathlib import Path

import pytest

from edge import layout
from edge.layout import MixedInstallation


def test_this_installation_is_whole() -> None:
    layout.check()
    assert len({layout.folder_of(name) for name in layout.PACKAGES}) == 1


def test_packages_from_elsewhere_are_named_with_their_places() -> None:
    folders = {"edge": Path("/a"), "protocols": Path("/a"), "storage": Path("/b")}
    with pytest.raises(MixedInstallation, match="storage in /b"):
        layout.agree(folders)


def test_a_package_that_is_not_there() -> None:
    with pytest.raises(MixedInstallation, match="no_such_package cannot be imported"):
        layout.folder_of("no_such_package")


def test_the_conf_folder_is_found() -> None:
    folder = layout.conf_folder()
    assert folder is not None
    assert (folder / "demo.toml").is_file()
