"""Since when a smartnode has been seen with the segments of a torrent, as it outlives a restart; never longer than it
was really seen.
"""

from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from smartnode.domain.identity import InfoHash, NodeId


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tenure:
    """What was seen of *node* in one swarm, the last time *at*.

    *since*: for each segment the second since 1970, rounded up, from which on it was seen with the whole of it without
    a break until *at*; 0: it was not seen with it at *at*.
    """

    info_hash: InfoHash
    node: NodeId
    at: datetime
    since: NDArray[np.int64]
