"""The settings in each room's own words; mypy proves in node.py that the rooms made here fit what the others need."""

from smartnode import __version__
from smartnode.catalogue.catalogue import Catalogue
from smartnode.config.paths import Paths
from smartnode.config.settings import Settings, host_port
from smartnode.disk.places import Places
from smartnode.disk.room import Disk
from smartnode.domain.identity import PROTOCOL_VERSION, NodeId
from smartnode.domain.pieces import Bytes
from smartnode.engine.needs import Puncher
from smartnode.engine.session import Engine
from smartnode.engine.settings import EngineSettings
from smartnode.ledger.ledger import FILE_NAME, Ledger
from smartnode.planning.policy import Policy
from smartnode.swarm.observer import Eyes
from smartnode.swarm.probe import Manners

NO_LIMIT = Bytes(0)


def client_name(settings: Settings) -> str:
    """Return what peers see as our client (BEP 10 ``v``): version, network id and protocol version."""
    return f"smartnode/{__version__} ({settings.network.id}/{PROTOCOL_VERSION})"


def catalogue_of(settings: Settings, paths: Paths) -> Catalogue:
    """Return the catalogue room."""
    return Catalogue(
        state=paths.state / "catalogue",
        cache=paths.cache,
        urls=settings.catalogue.urls,
        allow_unsigned=settings.catalogue.allow_unsigned,
        allow_private=settings.network.allow_private,
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


def ledger_of(paths: Paths, *, read_only: bool = False) -> Ledger:
    """Return the ledger room."""
    return Ledger(paths.state / FILE_NAME, read_only=read_only)


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
            upload_limit=bandwidth.upload or NO_LIMIT,
            download_limit=bandwidth.download or NO_LIMIT,
        ),
        places=places,
        puncher=puncher,
    )


def eyes_of(settings: Settings, node_id: NodeId) -> Eyes:
    """Return how this node looks at swarms."""
    return Eyes(
        node_id=node_id,
        network_id=settings.network.id,
        manners=Manners(client=f"smartnode/{__version__} probe", local_host=settings.network.outgoing),
        allow_private=settings.network.allow_private,
        memory=settings.cycle.t_mem,
    )


def policy_of(settings: Settings) -> Policy:
    """Return the local parameters of placement."""
    cycle = settings.cycle
    return Policy(
        pace=cycle.pace,
        kappa=cycle.kappa,
        lambda_=cycle.lambda_,
        a_max=cycle.a_max,
        t_mem=cycle.t_mem,
        t_urg=cycle.t_urg,
    )
