"""Plugins whose metadata are damaged or doubled are listed, with what is wrong and what to do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from llada_core import PluginStatus
from llada_core.environment import Environment
from llada_core.plugins.installed import Installed
from llada_core.registry.registry import Registry
from llada_core.testing import FakeSite

Site = Any

POINTS = "[llada.engines]\nbad = llada_bad\n"
FACTS = "Metadata-Version: 2.1\nName: llada-bad\nVersion: 1.0\n"
LOADED = "raise RuntimeError('imported')"


def damaged(site: Site, *, metadata: bytes | None = FACTS.encode(), points: bytes = POINTS.encode()) -> Path:
    """Write a plugin with these files of metadata, beside one that is as it should be."""
    site.add_engine("good", algorithms={"echo": ()})
    info: Path = site.add("llada-bad", plugin=LOADED)
    (info / "entry_points.txt").write_bytes(points)
    (info / "METADATA").unlink()
    if metadata is not None:
        (info / "METADATA").write_bytes(metadata)
    return info


def status_of(registry: Registry, name: str = "llada-bad") -> PluginStatus:
    assert registry.algorithms() == ["echo"]
    (status,) = [each for each in registry.statuses() if name in (each.distribution, each.name)]
    return status


METADATA = {
    "is missing": None,
    "is empty": b"",
    "is not UTF-8": b"\xff\xfe\x00" + FACTS.encode(),
    "is Latin-1": FACTS.encode() + b"Author: Ren\xe9\n",
    "has no Name": b"Metadata-Version: 2.1\nVersion: 1.0\n",
    "has no Version": b"Metadata-Version: 2.1\nName: llada-bad\n",
}


@pytest.mark.parametrize(("said", "metadata"), METADATA.items(), ids=METADATA)
def test_a_plugin_whose_metadata_cannot_be_read_is_broken(
    site: Site, said: str, metadata: bytes | None
) -> None:
    info = damaged(site, metadata=metadata)
    status = status_of(site.registry())
    assert (status.distribution, status.version, status.status) == ("llada-bad", "1.0", "broken")
    told = "is not UTF-8" if said == "is Latin-1" else said
    assert status.reason == (
        f"its METADATA in {info} {told}; pip install --force-reinstall llada-bad, or delete the folder"
    )
    assert status.load_ms is None


def test_metadata_that_are_no_file_cannot_be_read(site: Site) -> None:
    info = damaged(site, metadata=None)
    (info / "METADATA").mkdir()
    assert f"its METADATA in {info} cannot be read; " in (status_of(site.registry()).reason or "")


ENTRY_POINTS = {
    "no equals sign": b"[llada.engines]\nno equals sign\n",
    "Latin-1": POINTS.encode() + b"ren\xe9 = llada_bad\n",
    "UTF-16": POINTS.encode("utf-16"),
    "a mark in front": b"\xef\xbb\xbf" + POINTS.encode(),
    "no entry": b"[console_scripts]\nbad = bad:main\n[llada.engines]\n",
}


@pytest.mark.parametrize("points", ENTRY_POINTS.values(), ids=ENTRY_POINTS.keys())
def test_a_plugin_whose_entry_points_cannot_be_read_is_broken(site: Site, points: bytes) -> None:
    damaged(site, points=points)
    status = status_of(site.registry())
    assert (status.distribution, status.status) == ("llada-bad", "broken")
    assert "entry" in (status.reason or "")
    assert (status.reason or "").endswith("; upgrade llada-bad, or tell its authors")


@pytest.mark.parametrize(
    "points", [b"# [llada.engines]\n", b"[llada.engines.more]\nbad = llada_bad\n", b"\xff"]
)
def test_what_only_looks_like_our_group_is_none(site: Site, points: bytes) -> None:
    damaged(site, points=points)
    assert [status.name for status in site.registry().statuses()] == ["good"]


@pytest.mark.parametrize("blocked", ["bad", "llada-bad"])
def test_a_damaged_plugin_is_blocked_like_any_other(site: Site, blocked: str) -> None:
    damaged(site, metadata=FACTS.encode() if blocked == "bad" else None)
    assert status_of(site.registry(block_plugins=frozenset({blocked}))).status == "blocked"


def test_a_damaged_requirement_counts_as_what_its_folder_says(site: Site) -> None:
    info = site.add("torch", version="2.13.0")
    (info / "METADATA").unlink()
    site.add_engine("new", algorithms={"a": ()}, requires=("torch>=2.6",))
    site.add_engine("old", algorithms={"b": ()}, requires=("torch<2.6",))
    assert site.registry().algorithms(available=True) == ["a"]


@pytest.mark.parametrize(
    "name", ["llada_bad.egg-info", "llada_bad-1.0-py3.11.egg-info", "Llada.Bad.egg-info"]
)
def test_an_egg_is_a_distribution_too(site: Site, name: str) -> None:
    folder = site.folder / name
    folder.mkdir()
    (folder / "PKG-INFO").write_text(FACTS)
    (folder / "entry_points.txt").write_text(POINTS)
    site.add_engine("good", algorithms={"echo": ()})
    status = status_of(site.registry())
    assert (status.name, status.version, status.status) == ("bad", "1.0", "broken")
    assert "No module named 'llada_bad'" in (status.reason or "")


def test_what_an_interrupted_uninstall_left_is_none(site: Site) -> None:
    info = damaged(site)
    info.rename(info.with_name("~lada_bad-1.0.dist-info"))
    assert [status.name for status in site.registry().statuses()] == ["good"]


@pytest.mark.parametrize("spelling", ["Llada.Good", "llada_good", "LLADA-good"])
def test_the_spellings_of_a_name_are_one_distribution(site: Site, spelling: str) -> None:
    site.add("Llada.Good", version="2.0", modules={"x": ""})
    site.add_engine("e", algorithms={"echo": ()}, requires=(f"{spelling}>=1",))
    assert site.registry().engine("e").available


def test_of_two_versions_in_one_folder_the_newest_counts_and_the_other_is_told(site: Site) -> None:
    site.add_engine("good", algorithms={"echo": ()})
    for version in ("0.9", "0.10", "0.2"):
        site.add("llada-good", version=version, entry_points={"good": "llada_good"})
    (status,) = site.registry().statuses()
    assert (status.version, status.status, status.reason) == ("1.0", "loaded", None)
    assert [warning.partition(";")[0] for warning in status.warnings] == [
        f"{version} in {site.folder} does not count beside 1.0" for version in ("0.10", "0.9", "0.2")
    ]


def test_of_two_copies_on_the_path_the_first_counts(site: Site, tmp_path: Path) -> None:
    later = FakeSite(tmp_path / "later")
    site.add_engine("good", algorithms={"echo": ()})
    later.add("llada-good", version="2.0", entry_points={"good": "llada_good", "more": "llada_more"})
    later.add("llada-late", plugin=LOADED)
    registry = Registry(Installed([str(site.folder), str(later.folder)]), Environment())
    first, second = registry.statuses()
    assert (first.name, first.version, first.status) == ("good", "1.0", "loaded")
    assert first.warnings == (
        f"2.0 in {later.folder} does not count beside 1.0; "
        "uninstall llada-good until none is left, and install it again",
    )
    assert second.distribution == "llada-late"


def test_a_copy_that_does_not_count_brings_no_plugin(site: Site, tmp_path: Path) -> None:
    later = FakeSite(tmp_path / "later")
    site.add("llada-good", version="2.0")
    later.add("llada-good", version="1.0", plugin=LOADED)
    assert Registry(Installed([str(site.folder), str(later.folder)]), Environment()).statuses() == []


def test_one_folder_under_two_names_is_one_copy(site: Site, tmp_path: Path) -> None:
    site.add_engine("good", algorithms={"echo": ()})
    (tmp_path / "link").symlink_to(site.folder)
    registry = Registry(Installed([str(site.folder), str(tmp_path / "link")]), Environment())
    assert [status.warnings for status in registry.statuses()] == [()]


def test_of_two_copies_in_one_folder_one_that_can_be_read_counts(site: Site) -> None:
    site.add_engine("good", algorithms={"echo": ()})
    newer = site.add("llada-good", version="2.0", entry_points={"good": "llada_good"})
    (newer / "METADATA").unlink()
    (status,) = site.registry().statuses()
    assert (status.version, status.status) == ("1.0", "loaded")
