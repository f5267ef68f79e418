"""Every error of the house: one base, one subclass per room, the cure in the text, the exit code on the class."""

from enum import IntEnum


class ExitCode(IntEnum):
    """What the process tells the shell (the public contract)."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    CATALOGUE_REFUSED = 3
    NODE_UNREACHABLE = 4
    STORAGE = 5


class SmartnodeError(Exception):
    """Base of all errors that cross a room's wall; ``str()`` is one line that names the cure."""

    exit_code: ExitCode = ExitCode.FAILED
    room: str = "smartnode"

    def __init__(self, text: str, *, cure: str = "") -> None:
        """Join *text* and *cure* into one line; both stay readable as fields."""
        super().__init__(f"{text}; {cure}" if cure else text)
        self.text = text
        self.cure = cure


class ConfigError(SmartnodeError):
    """A setting is missing, unknown, malformed or not supported yet."""

    exit_code = ExitCode.USAGE
    room = "config"


class CatalogueError(SmartnodeError):
    """The catalogue cannot be fetched, or what was fetched is refused as a whole."""

    exit_code = ExitCode.CATALOGUE_REFUSED
    room = "catalogue"


class MetainfoError(SmartnodeError):
    """A .torrent file is missing, hostile, over the limits, or not the one the catalogue names."""

    room = "metainfo"


class EngineError(SmartnodeError):
    """The libtorrent session refused, failed or did not answer in time."""

    room = "engine"


class SourceError(SmartnodeError):
    """A web seed cannot be asked, or cannot be one."""

    room = "sources"


class SwarmError(SmartnodeError):
    """A peer could not be asked, or answered outside the protocol."""

    room = "swarm"


class DiskError(SmartnodeError):
    """The storage is absent, read-only, not sparse, full, or a path leads outside the data root."""

    exit_code = ExitCode.STORAGE
    room = "disk"


class LedgerError(SmartnodeError):
    """The ledger's database is of a newer schema, damaged, or cannot be written."""

    exit_code = ExitCode.STORAGE
    room = "ledger"


class PublishError(SmartnodeError):
    """A file cannot be published as asked."""

    room = "publish"


class NodeUnreachableError(SmartnodeError):
    """No running node answers at the API's address."""

    exit_code = ExitCode.NODE_UNREACHABLE
    room = "api"
