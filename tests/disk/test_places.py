"""Payload lies inside the data root, whatever its names are."""

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smartnode.disk.places import NAME_MAX_BYTES, Places, safe_name
from smartnode.domain.identity import InfoHash, ItemKey
from smartnode.errors import DiskError

HASH = InfoHash("0123456789abcdef0123456789abcdef01234567")
OTHER = InfoHash("fedcba9876543210fedcba9876543210fedcba98")


def key(collection: str, item: str) -> ItemKey:
    """The item *item* of *collection*."""
    return ItemKey(collection=collection, id=item)


def test_whole_and_partial_places_are_the_documented_ones(tmp_path: Path) -> None:
    """Whole: <root>/<collection>/<id>~<8 hex>; partial: the same below .partial."""
    places = Places(tmp_path)
    assert places.whole(key("census", "ca-2021"), HASH) == tmp_path / "census" / "ca-2021~01234567"
    assert places.partial(key("census", "ca-2021"), HASH) == tmp_path / ".partial" / "census" / "ca-2021~01234567"


def test_an_item_without_a_collection_has_a_folder_too(tmp_path: Path) -> None:
    """An empty collection is the folder "_"."""
    assert Places(tmp_path).whole(key("", "a"), HASH) == tmp_path / "_" / "a~01234567"


def test_a_collection_cannot_pose_as_the_partial_folder(tmp_path: Path) -> None:
    """No whole item lies below .partial."""
    assert Places(tmp_path).whole(key(".partial", "a"), HASH) == tmp_path / "_partial" / "a~01234567"


def test_long_ids_that_are_cut_alike_stay_apart(tmp_path: Path) -> None:
    """Cutting a name, which leaves whole characters, never makes two torrents one folder."""
    places = Places(tmp_path)
    assert safe_name("é" * 300) == "é" * 100
    assert places.whole(key("c", "x" * 300 + "1"), HASH) != places.whole(key("c", "x" * 300 + "2"), OTHER)


@given(st.text(), st.text())
def test_every_name_stays_one_component_inside_the_root(collection: str, item: str) -> None:
    """Whatever the catalogue says, the folder is exactly two components below the root, each one that Linux takes."""
    root = Path("/srv/data")
    folder = Places(root).whole(key(collection, item), HASH)
    assert folder.parent.parent == root
    for name in folder.relative_to(root).parts:
        assert name not in ("", ".", "..")
        assert not name.startswith(".")
        assert "\0" not in name
        assert name.isprintable()
        assert len(name.encode()) <= 255


@given(st.text(min_size=1).flatmap(lambda t: st.sampled_from([t, t * 200])))
def test_a_safe_name_is_bounded_and_stays_as_it_is(text: str) -> None:
    """Making a name safe twice is making it safe once."""
    once = safe_name(text)
    assert len(once.encode()) <= NAME_MAX_BYTES
    assert safe_name(once) == once


@given(st.text(alphabet=st.sampled_from("abcé-_09."), min_size=1, max_size=40).filter(lambda t: not t.startswith(".")))
def test_ordinary_names_are_not_changed(text: str) -> None:
    """People find their items under the catalogue's own names."""
    assert safe_name(text) == text


def test_a_link_that_leads_outside_is_refused(tmp_path: Path) -> None:
    """A collection folder that is a symlink to elsewhere takes no payload, whole or partial."""
    root, elsewhere = tmp_path / "root", tmp_path / "elsewhere"
    (root / ".partial").mkdir(parents=True)
    elsewhere.mkdir()
    (root / "census").symlink_to(elsewhere)
    (root / ".partial" / "census").symlink_to("../../elsewhere")
    for place in (Places(root).whole, Places(root).partial):
        with pytest.raises(DiskError, match="leads outside"):
            place(key("census", "a"), HASH)


def test_the_item_folder_itself_cannot_lead_outside(tmp_path: Path) -> None:
    """The last component is followed as well."""
    root = tmp_path / "root"
    (root / "census").mkdir(parents=True)
    (root / "census" / "a~01234567").symlink_to(tmp_path)
    with pytest.raises(DiskError, match="remove links"):
        Places(root).whole(key("census", "a"), HASH)


def test_a_link_that_stays_inside_is_the_volunteers_matter(tmp_path: Path) -> None:
    """A symlink inside the root to inside the root is followed."""
    (tmp_path / "real").mkdir()
    (tmp_path / "census").symlink_to("real")
    assert Places(tmp_path).whole(key("census", "a"), HASH) == tmp_path / "census" / "a~01234567"


def test_a_root_that_is_a_link_is_the_root(tmp_path: Path) -> None:
    """storage.path may be a symlink to a mounted disk."""
    (tmp_path / "disk").mkdir()
    (tmp_path / "data").symlink_to("disk")
    assert Places(tmp_path / "data").whole(key("c", "a"), HASH) == tmp_path / "data" / "c" / "a~01234567"


def test_a_circle_of_links_never_leads_outside(tmp_path: Path) -> None:
    """Links that lead nowhere are an error of the disk, or stay inside; never a crash."""
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with suppress(DiskError):
        assert Places(tmp_path).whole(key("a", "x"), HASH) == tmp_path / "a" / "x~01234567"
