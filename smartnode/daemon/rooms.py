"""The settings in each room's own words; mypy proves in node.py that the rooms made here fit what the others need."""

import random
import socket
from dataclasses import replace
from datetime import UTC, datetime
from ipaddress import ip_address

import psutil

from smartnode import __version__
from smartnode.catalogue.catalogue import Catalogue
from smartnode.config.paths import Paths
from smartnode.config.settings import Settings, host_port
from smartnode.cycle.rooms import Rooms
from smartnode.cycle.run import Cycle
from smartnode.daemon.board import Identity
from smartnode.daemon.clock import Clock
from smartnode.disk.places import Places
from smartnode.disk.room import Disk
from smartnode.domain.identity import PROTOCOL_VERSION, NodeId, prober_of
from smartnode.domain.network import ProxyKind, Way
from smartnode.domain.pieces import Bytes
from smartnode.engine.needs import Puncher
from smartnode.engine.session import Engine
from smartnode.engine.settings import EngineSettings
from smartnode.errors import ConfigError
from smartnode.ledger.ledger import FILE_NAME, Ledger
from smartnode.planning.place import Place
from smartnode.planning.policy import Policy
from smartnode.planning.selection import Selection
from smartnode.planning.siblings import Siblings
from smartnode.planning.terms import Terms
from smartnode.sources.mirrors import Mirrors
from smartnode.sources.probe import Manners as SourceManners
from smartnode.sources.schedule import Pace
from smartnode.swarm.observer import Eyes
from smartnode.swarm.probe import Manners
from smartnode.swarm.tracker_line import REST_MAX_S, TrackerManners
from smartnode.swarm.trackers import Trackers

NO_LIMIT = Bytes(0)
LAN_EVERY_S, LAN_EVERY_MIN_S = 300, 10
"""Neighbours hear of a torrent within a cycle, and at least every five minutes (BEP 14)."""


def client_name(settings: Settings) -> str:
    """Return what peers see as our client (BEP 10 ``v``): version, network id and protocol version."""
    return f"smartnode/{__version__} ({settings.network.id}/{PROTOCOL_VERSION})"


def identity_of(settings: Settings, node_id: NodeId) -> Identity:
    """Return who this node says it is to its readers."""
    proxy = settings.network.proxy
    return Identity(
        version=__version__,
        name=settings.node.name,
        network_id=settings.network.id,
        node_id=node_id,
        proxy=None if proxy is None else str(proxy),
    )


def clock_of(settings: Settings) -> Clock:
    """Return what is known of the host's clock, from now on."""
    return Clock(policy_of(settings).terms, trusted=settings.protocol.clock == "trusted")


def catalogue_of(settings: Settings, paths: Paths, *, clock: Clock | None = None) -> Catalogue:
    """Return the catalogue room; *clock* hears what the clocks of its sources show."""
    return Catalogue(
        state=paths.state / "catalogue",
        cache=paths.cache,
        urls=settings.catalogue.urls,
        allow_unsigned=settings.catalogue.allow_unsigned,
        allow_private=settings.network.allow_private,
        way=Way(proxy=settings.network.proxy, local_host=local_host(settings)),
        heard=lambda date: None if clock is None else clock.heard(date, datetime.now(UTC)),
    )


def disk_of(settings: Settings, paths: Paths) -> Disk:
    """Return the disk room; ConfigError without a quota."""
    return Disk(
        root=paths.data,
        state=paths.state,
        cache=paths.cache,
        quota=settings.require_storage(),
        keep_free=settings.storage.keep_free,
    )


def ledger_of(paths: Paths, *, read_only: bool = False, visitor: bool = False) -> Ledger:
    """Return the ledger room: the node's own, a reader's, or that of a *visitor* who leaves a word."""
    return Ledger(paths.state / FILE_NAME, read_only=read_only, visitor=visitor)


def engine_of(settings: Settings, paths: Paths, *, node_id: NodeId, places: Places, puncher: Puncher) -> Engine:
    """Return the engine room, not started."""
    network, bandwidth = settings.network, settings.bandwidth
    return Engine(
        EngineSettings(
            node_id=node_id,
            client=client_name(settings),
            network_id=network.id,
            listen=network.listen,
            state_dir=paths.state,
            outgoing=network.outgoing,
            dht=network.dht,
            dht_bootstrap=tuple(host_port(contact) for contact in network.dht_bootstrap),
            allow_private=network.allow_private,
            announce_ip=network.announce_ip,
            port_forwarding=network.port_forwarding,
            lan_discovery=network.lan_discovery,
            lan_every_s=min(LAN_EVERY_S, max(LAN_EVERY_MIN_S, int(settings.cycle.interval.total_seconds()))),
            proxy=network.proxy,
            upload_limit=bandwidth.upload or NO_LIMIT,
            download_limit=bandwidth.download or NO_LIMIT,
        ),
        places=places,
        puncher=puncher,
    )


def local_host(settings: Settings) -> str | None:
    """Return the address that our own connections go out from, None = any; ConfigError when the named network device
    is not there or has no address.
    """
    outgoing = settings.network.outgoing
    if outgoing is None:
        return None
    try:
        return str(ip_address(outgoing))
    except ValueError:
        pass
    found = [entry.address for entry in psutil.net_if_addrs().get(outgoing, ()) if entry.family is socket.AF_INET]
    if not found:
        message = f"the network device {outgoing!r} is not there or has no IPv4 address"
        raise ConfigError(message, cure="bring it up, or correct network.outgoing")
    return str(found[0])


def trackers_of(settings: Settings) -> Trackers:
    """Return the trackers, as far as they are asked and not announced to."""
    return Trackers(
        TrackerManners(
            allow_private=settings.network.allow_private,
            proxy=settings.network.proxy,
            local_host=local_host(settings),
            agent=client_name(settings),
            rest_max_s=min(REST_MAX_S, settings.cycle.interval.total_seconds()),
        )
    )


def sources_of(settings: Settings) -> Mirrors:
    """Return the web seeds. One that may come back is asked at least once per cycle: a world that returns is noticed
    within one.
    """
    usual, interval = Pace(), settings.cycle.interval
    return Mirrors(
        SourceManners(
            user_agent=client_name(settings),
            allow_private=settings.network.allow_private,
            proxy=settings.network.proxy,
            local_host=local_host(settings),
        ),
        clock=lambda: datetime.now(UTC),
        dice=random.Random(),  # noqa: S311 -- it draws pieces and spreads the schedule
        pace=replace(
            usual,
            between=min(usual.between, interval),
            waiting=min(usual.waiting, interval),
            waiting_max=min(usual.waiting_max, interval),
        ),
    )


def eyes_of(settings: Settings, node_id: NodeId) -> Eyes:
    """Return how this node looks at swarms."""
    return Eyes(
        node_id=node_id,
        network_id=settings.network.id,
        manners=Manners(client=prober_of(__version__), local_host=local_host(settings), proxy=settings.network.proxy),
        allow_private=settings.network.allow_private,
        memory=settings.cycle.t_mem,
    )


def cycle_of(settings: Settings, rooms: Rooms, node_id: NodeId) -> Cycle:
    """Return the path through *rooms*."""
    return Cycle(
        rooms,
        node_id=node_id,
        policy=policy_of(settings),
        probes=settings.cycle.probes,
        selection=selection_of(settings),
    )


def retune(cycle: Cycle, settings: Settings) -> None:
    """Let the next cycle go by *settings*; the network's terms stay those of the start, as do the clock and the id."""
    cycle.policy = replace(policy_of(settings), terms=cycle.policy.terms)
    cycle.probes, cycle.selection = settings.cycle.probes, selection_of(settings)


def carries_dht(settings: Settings) -> bool:
    """Say whether the DHT can be reached: an HTTP proxy carries no UDP."""
    proxy = settings.network.proxy
    return proxy is None or proxy.kind is not ProxyKind.HTTP


def policy_of(settings: Settings) -> Policy:
    """Return the parameters of placement: the local ones, and the terms of the network."""
    cycle, keys = settings.cycle, settings.protocol
    return Policy(
        pace=cycle.pace,
        kappa=cycle.kappa,
        lambda_=cycle.lambda_,
        a_max=cycle.a_max,
        t_mem=cycle.t_mem,
        t_urg=cycle.t_urg,
        t_usual=cycle.t_usual,
        a_guard=cycle.a_guard,
        gamma=cycle.gamma,
        gamma_many=min(Policy().gamma_many, cycle.gamma),
        hysteresis=cycle.hysteresis,
        siblings=Siblings.of(settings.network.siblings),
        target_copies=settings.selection.target_copies,
        place=Place(region=settings.node.region, jurisdiction=settings.node.jurisdiction),
        terms=Terms(
            epoch=keys.epoch,
            quiet=keys.quiet_window,
            k=keys.k,
            swap_period=keys.swap_period,
            holder_age_swap=keys.holder_age_swap,
            holder_age_shrink=keys.holder_age_shrink,
        ),
    )


def selection_of(settings: Settings) -> Selection:
    """Return what the node may fetch."""
    keys = settings.selection
    return Selection(include=keys.include, exclude=keys.exclude, bbox=keys.box, max_item_size=keys.max_item_size)
