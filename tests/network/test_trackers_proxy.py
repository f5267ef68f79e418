"""Behind a proxy nothing goes around it: trackers and peers see the proxy's address only, UDP trackers see nothing."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from smartnode.domain.identity import InfoHash
from smartnode.domain.network import Proxy, ProxyKind
from smartnode.domain.pieces import Bitfield, Bytes
from smartnode.domain.swarm import Address
from smartnode.errors import SwarmError
from smartnode.swarm import wire
from smartnode.swarm.probe import Manners, probe
from smartnode.swarm.tracker_line import TrackerManners
from smartnode.swarm.trackers import Trackers
from smartnode.web.transport import resolve
from tests_network import need  # type: ignore[import-not-found]
