"""Nodes are given less than the archive, less than its largest item, and together about twice the archive."""

import tomllib
from pathlib import Path, PurePosixPath

import pytest

from smartnode.cli.demo.failure import DemoError
from smartnode.cli.demo.network import Network, Seat, seats_of, settings_of, toml
from smartnode.cli.demo.process import NodeProcess
from smartnode.cli.demo.publication import Publication, Published
from smartnode.cli.demo.samples import Sample
from smartnode.config.load import load
from smartnode.domain.identity import InfoHash, ItemKey
from smartnode.domain.pieces import Bytes, Layout
from smartnode.metainfo.read import Metainfo, TorrentFile

MIB = 1 << 20
SIZES = tuple(int(size * MIB) for size in (63.48, 22.13, 15.96, 7.43, 3.94, 1.04))


def publication_of(sizes: tuple[int, ...]) -> Publication:
    """Return a publication of files of *sizes* that exist on paper only: seats need no more."""
    items = []
    for number, size in enumerate(sizes):
        name = f"file-{number}"
        layout = Layout(total_size=Bytes(size), piece_length=Bytes(256 << 10))
        metainfo = Metainfo(
            info_hash=InfoHash(f"{number:040x}"),
            info_hash_v1=f"{number:040x}",
            info_hash_v2=None,
            name=name,
            layout=layout,
            files=(TorrentFile(path=PurePosixPath(name), offset=Bytes(0), size=Bytes(size)),),
            trackers=(),
            web_seeds=(),
            raw=b"",
        )
        sample = Sample(
            id=name, title=name, media_type="", path=Path(name), size=Bytes(size), sha256="", bbox=(0, 0, 1, 1)
        )
        items.append(Published(key=ItemKey(collection="c", id=name), sample=sample, metainfo=metainfo))
    return Publication(items=tuple(items), catalogue_url="http://127.0.0.1:1/c")


@pytest.mark.parametrize("nodes", range(4, 21))
def test_quotas_are_those_of_the_contract(nodes: int) -> None:
    """For 4 to 20 nodes the quotas sum to 1.5 to 2 archives and each is below archive and largest item."""
    seats = seats_of(publication_of(SIZES), nodes=nodes)
    assert len({seat.host for seat in seats}) == len({seat.name for seat in seats}) == nodes
    assert 1.5 <= sum(seat.quota for seat in seats) / sum(SIZES) <= 2
    assert all(seat.quota < max(SIZES) for seat in seats)


def test_a_quota_that_holds_the_largest_item_is_refused() -> None:
    """An archive without a giant would prove nothing about partial items."""
    with pytest.raises(DemoError, match="largest"):
        seats_of(publication_of((MIB, MIB, MIB, MIB)), nodes=4)


def test_the_daemon_accepts_the_configuration(tmp_path: Path) -> None:
    """What is written loads as settings of the real daemon, and means what the demo meant."""
    seat = Seat(name="node-3", host="127.0.3.1", api_port=4321, quota=Bytes(12_345_678))
    made = settings_of(seat, tmp_path, catalogue_url="http://127.0.100.1:80/c.parquet", bootstrap="127.0.101.1:99")
    text = toml(made)
    assert tomllib.loads(text) == made
    path = tmp_path / "node.toml"
    path.write_text(text)
    settings = load(path)
    assert settings.storage.quota == seat.quota
    assert settings.storage.keep_free == 0
    assert settings.storage.path == tmp_path / "data"
    assert settings.network.listen == ("127.0.3.1:0",)
    assert settings.network.outgoing == "127.0.3.1"
    assert settings.network.dht_bootstrap == ("127.0.101.1:99",)
    assert settings.network.allow_private
    assert (settings.api.host, settings.api.port) == ("127.0.3.1", 4321)
    assert settings.cycle.interval.total_seconds() <= 5


async def test_a_node_that_cannot_start_is_named_with_its_log(tmp_path: Path) -> None:
    """The network's failure carries the guilty node's own words, and no process is left."""
    seats = [Seat(name="node-1", host="127.0.1.1", api_port=0, quota=Bytes(MIB))]
    network = Network(seats, tmp_path, catalogue_url="http://127.0.0.1:1/c", bootstrap="127.0.101.1:99")
    (tmp_path / "node-1" / "node.toml").write_text("[storage]\nquoter = 5\n")
    with pytest.raises(DemoError, match="node-1 ended with exit code 2") as caught:
        await network.__aenter__()
    assert "quota" in caught.value.log
    assert [node.exit_code for node in network_nodes(network)] == [2]


def network_nodes(network: Network) -> list[NodeProcess]:
    """Return the network's processes."""
    return network._nodes
