"""Resume files without a session, and bencoding."""

import os
from typing import Any

import libtorrent as lt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smartnode.domain.identity import ItemKey
from smartnode.errors import MetainfoError
from smartnode.metainfo import bencode
from smartnode.metainfo.make import make_torrent
from smartnode.metainfo.resume import open_resume, read_resume, seal, write_resume

KEY = ItemKey(collection="çollection", id="ïd")


@pytest.fixture(scope="module")
def params(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Parameters of a torrent of 11 pieces."""
    path = tmp_path_factory.mktemp("resume") / "x.bin"
    path.write_bytes(os.urandom(16384 * 10 + 1))
    made = lt.load_torrent_buffer(make_torrent(path, piece_length=16384, trackers=("http://t.example/announce",)))
    made.save_path = "/data"
    return made


@given(have=st.sets(st.integers(0, 10)), wanted=st.sets(st.integers(0, 10)))
def test_what_was_written_is_read(params: Any, have: Any, wanted: Any) -> None:
    """Item, pieces held and pieces wanted come back exactly, the metainfo with them."""
    params.have_pieces = [piece in have for piece in range(11)]
    params.piece_priorities = [4 if piece in wanted else 0 for piece in range(11)]
    resumed = read_resume(write_resume(params, KEY))
    assert set(resumed.have.indices()) == have
    assert set(resumed.wanted.indices()) == wanted
    assert resumed.key == KEY
    assert resumed.save_path == "/data"
    assert resumed.info_hash == str(params.info_hashes.v1)
    assert resumed.metainfo.trackers == ("http://t.example/announce",)
    assert resumed.layout.num_pieces == 11


@pytest.mark.parametrize(
    "raw",
    [b"", b"d4:spam4:eggse", b"le", b"i3e", bytes(range(192, 256)), b"d9:smartnodei1ee"],
)
def test_foreign_files_are_refused(raw: bytes) -> None:
    """Anything but a resume file of ours is a MetainfoError."""
    with pytest.raises(MetainfoError):
        read_resume(raw)


def test_files_without_our_key_or_of_another_version_are_refused(params: Any) -> None:
    """Libtorrent's own resume data does not name the item; a newer file needs a newer smartnode."""
    params.have_pieces, params.piece_priorities = [], []
    plain = bytes(lt.bencode(lt.write_resume_data(params)))
    with pytest.raises(MetainfoError):
        open_resume(plain)
    newer = lt.bdecode(seal(plain, KEY))
    newer[b"smartnode"][b"version"] = 2
    with pytest.raises(MetainfoError, match="version 2"):
        open_resume(lt.bencode(newer))
    assert open_resume(seal(plain, KEY))[0] == KEY


def test_cut_files_are_refused(params: Any) -> None:
    """No prefix of a resume file is one."""
    raw = write_resume(params, KEY)
    for length in range(0, len(raw), 37):
        with pytest.raises(MetainfoError):
            read_resume(raw[:length])


@given(
    st.recursive(
        st.integers(-(2**60), 2**60) | st.binary(max_size=20),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.binary(max_size=6), inner, max_size=4),
        max_leaves=12,
    )
)
def test_bencoding_comes_back(value: Any) -> None:
    """Decode undoes encode."""
    assert bencode.decode(bencode.encode(value)) == value


@pytest.mark.parametrize("raw", [b"", b"x", b"i1", b"5:ab", b"l" * 3000, bytes(70_000)])
def test_bad_bencoding_is_refused(raw: bytes) -> None:
    """Damage and size end in MetainfoError."""
    with pytest.raises(MetainfoError):
        bencode.decode(raw)
