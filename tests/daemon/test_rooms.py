"""What the configuration says arrives in the rooms, and a reload changes only what may change at run time."""

from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path

from smartnode.config.load import load
from smartnode.config.paths import Paths
from smartnode.config.settings import Settings
from smartnode.cycle.rooms import Rooms
from smartnode.daemon.rooms import (
    catalogue_of,
    clock_of,
    cycle_of,
    disk_of,
    engine_of,
    eyes_of,
    ledger_of,
    policy_of,
    retune,
    sources_of,
    trackers_of,
)
from smartnode.domain.identity import NodeId
from smartnode.planning.place import Place
from smartnode.planning.policy import Policy
from smartnode.planning.siblings import Siblings
from smartnode.planning.terms import Terms
from smartnode.swarm.observer import Observer

ME = NodeId(b"-SN0001-000000000000")
QUOTA = "[storage]\nquota = 1000\n"


def settings(folder: Path, text: str) -> Settings:
    """What a file of *text* means."""
    path = folder / "smartnode.toml"
    path.write_text(text, encoding="utf-8")
    return load(path, {})


def test_an_empty_configuration_is_the_rule_as_simulated(tmp_path: Path) -> None:
    """The defaults of the configuration are those of planning, key by key."""
    assert policy_of(settings(tmp_path, "")) == Policy()


def test_every_parameter_arrives(tmp_path: Path) -> None:
    """Local parameters and the terms of a network of one's own; gamma bounds its own lower value."""
    cycle = 'gamma = 0.05\nhysteresis = 2.5\na_guard = "1 s"\nt_mem = "5 h"\nt_urg = "3 h"\nt_usual = "4 h"\n'
    protocol = (
        'epoch = "30 s"\nquiet_window = "5 s"\nk = 3\nswap_period = "20 s"\n'
        'holder_age_swap = "10 s"\nholder_age_shrink = "15 s"\n'
    )
    found = policy_of(settings(tmp_path, f'[network]\nid = "mine"\n[cycle]\n{cycle}[protocol]\n{protocol}'))
    assert found == Policy(
        gamma=0.05,
        gamma_many=0.05,
        hysteresis=2.5,
        a_guard=timedelta(seconds=1),
        t_mem=timedelta(hours=5),
        t_urg=timedelta(hours=3),
        t_usual=timedelta(hours=4),
        terms=Terms(
            epoch=timedelta(seconds=30),
            quiet=timedelta(seconds=5),
            k=3,
            swap_period=timedelta(seconds=20),
            holder_age_swap=timedelta(seconds=10),
            holder_age_shrink=timedelta(seconds=15),
        ),
    )


def rooms_of(settings: Settings, folder: Path) -> Rooms:
    """All rooms of a node below *folder*, none of them started."""
    paths = Paths(data=folder / "data", state=folder / "state", cache=folder / "cache")
    disk, clock = disk_of(settings, paths), clock_of(settings)
    engine = engine_of(settings, paths, node_id=ME, places=disk.places, puncher=disk)
    trackers = trackers_of(settings)
    return Rooms(
        catalogue=catalogue_of(settings, paths, clock=clock),
        engine=engine,
        swarm=Observer(engine, eyes_of(settings, ME), trackers),
        trackers=trackers,
        sources=sources_of(settings),
        disk=disk,
        ledger=ledger_of(paths),
        clock=clock,
    )


async def test_a_reload_leaves_the_terms_of_the_network(tmp_path: Path) -> None:
    """Local parameters are taken over; what every node shares waits for a restart, as the documents say."""
    mine = f'{QUOTA}[network]\nid = "mine"\n'
    before = settings(tmp_path, f'{mine}[protocol]\nepoch = "1 h"\nk = 3\n')
    cycle = cycle_of(before, rooms_of(before, tmp_path), ME)
    assert cycle.policy.terms == Terms(epoch=timedelta(hours=1), k=3)
    retune(cycle, settings(tmp_path, f'{mine}[protocol]\nepoch = "5 h"\n[cycle]\nhysteresis = 3.0\n'))
    assert cycle.policy == Policy(hysteresis=3.0, terms=Terms(epoch=timedelta(hours=1), k=3))


async def test_siblings_arrive_and_are_reloaded(tmp_path: Path) -> None:
    """Who belongs to the operator is taken over at once, by id as by address."""
    mine = f"{QUOTA}[network]\nsiblings = "
    before = settings(tmp_path, f'{mine}["{ME.hex()}"]\n')
    cycle = cycle_of(before, rooms_of(before, tmp_path), ME)
    assert cycle.policy == Policy(siblings=Siblings(ids=frozenset({ME})))
    retune(cycle, settings(tmp_path, f'{mine}["192.0.2.0/24"]\n'))
    assert cycle.policy == Policy(siblings=Siblings(networks=frozenset({ip_network("192.0.2.0/24")})))


async def test_the_target_of_copies_arrives_and_is_reloaded(tmp_path: Path) -> None:
    """From the selection into the rule, at once."""
    before = settings(tmp_path, f"{QUOTA}[selection]\ntarget_copies = 3\n")
    cycle = cycle_of(before, rooms_of(before, tmp_path), ME)
    assert cycle.policy.target_copies == 3
    retune(cycle, settings(tmp_path, QUOTA))
    assert cycle.policy.target_copies is None


async def test_where_the_node_is_arrives_and_is_reloaded(tmp_path: Path) -> None:
    """Region and jurisdiction, at once."""
    before = settings(tmp_path, f'{QUOTA}[node]\nregion = "ca-on"\njurisdiction = "CA"\n')
    cycle = cycle_of(before, rooms_of(before, tmp_path), ME)
    assert cycle.policy.place == Place(region="ca-on", jurisdiction="CA")
    retune(cycle, settings(tmp_path, f'{QUOTA}[node]\njurisdiction = "nl"\n'))
    assert cycle.policy.place == Place(jurisdiction="nl")
