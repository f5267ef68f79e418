"""The world is what is true: who holds what, what is on its way, who is online; nodes only see parts of it.

Laws: a node's bytes held and promised never exceed its quota, except after a shrink; a segment is held or on its way at
a node, never both; counts are those of the matrix at any time.
"""

from collections import deque

import numpy as np
from numpy.typing import NDArray

from smartnode.simulation.archive import Archive
from smartnode.simulation.fleet import Fleet

Mask = NDArray[np.bool_]


class World:
    """The truth of one simulation. Matrices have the shape (nodes, segments), counts one entry per segment.

    *held*, *flying*: segments that are there, and on their way. *since*: cycle in which a held one arrived. *live*:
    copies at nodes online; *ghosts*: at nodes that went offline within T_mem, the dead among them; *alive*: copies that
    exist, online or not. *last_online*: cycle in which somebody online held it last.
    """

    def __init__(self, archive: Archive, fleet: Fleet) -> None:
        """Begin with empty nodes, all of them there."""
        nodes, segments = len(fleet.names), len(archive.size)
        self.archive = archive
        self.fleet = fleet
        self.quota = fleet.quota.copy()
        self.held: Mask = np.zeros((nodes, segments), dtype=np.bool_)
        self.flying: Mask = np.zeros((nodes, segments), dtype=np.bool_)
        self.since = np.zeros((nodes, segments), dtype=np.int16)
        self.used = np.zeros(nodes, dtype=np.int64)
        """Bytes held and promised."""
        self.promised = np.zeros(nodes, dtype=np.int64)
        """Bytes on their way."""
        self.live = np.zeros(segments, dtype=np.int32)
        self.ghosts = np.zeros(segments, dtype=np.int32)
        self.alive = np.zeros(segments, dtype=np.int32)
        self.coming = np.zeros(segments, dtype=np.int32)
        self.last_online = np.full(segments, -(1 << 30), dtype=np.int64)
        self.online = np.ones(nodes, dtype=np.bool_)
        self.absent = np.zeros(nodes, dtype=np.bool_)
        """Nodes offline that the others remember."""
        self.departed = 0
        """Dead nodes that the others remember."""
        self.joined = np.zeros((nodes, len(archive.info_hashes)), dtype=np.int32)
        """Segments of each dataset that a node holds or fetches: it sees the swarms it is in."""
        self.holders: list[set[int]] = [set() for _ in range(segments)]
        """The nodes that hold each segment."""
        self.downloaded = 0
        """Bytes fetched by all nodes together."""
        self.destroyed = 0
        """Last copies that an eviction destroyed."""
        self.excused = 0
        """Bytes that died with their nodes or went because of a lowered quota: they had to be fetched, and are gone."""
        self._queues: list[deque[int]] = [deque() for _ in range(nodes)]
        self._begun = np.zeros(nodes, dtype=np.int64)  # bytes that arrived of the first of the queue

    def start(self, node: int, segments: NDArray[np.int64]) -> None:
        """Let *node* begin to fetch *segments*, which it neither holds nor fetches."""
        self.flying[node, segments] = True
        self.coming[segments] += 1
        weight = int(self.archive.size[segments].sum())
        self.used[node] += weight
        self.promised[node] += weight
        np.add.at(self.joined[node], self.archive.owner[segments], 1)
        self._queues[node].extend(segments.tolist())

    def arrive(self, tick: int) -> None:
        """Move what is on its way by one cycle; a segment arrives when its last byte does and someone can serve it."""
        for node in np.flatnonzero(self.online).tolist():
            queue, room = self._queues[node], int(self.fleet.rate[node])
            done: list[int] = []
            while queue and room > 0:
                step = min(room, int(self.archive.size[queue[0]] - self._begun[node]))
                room -= step
                self._begun[node] += step
                if self._begun[node] == self.archive.size[queue[0]]:
                    self._begun[node] = 0
                    done.append(queue.popleft())
            if done:
                self._hold(node, np.array(done), tick)

    def _hold(self, node: int, segments: NDArray[np.int64], tick: int) -> None:
        self.flying[node, segments] = False
        self.held[node, segments] = True
        self.since[node, segments] = tick
        self.coming[segments] -= 1
        self.live[segments] += 1
        self.alive[segments] += 1
        weight = int(self.archive.size[segments].sum())
        self.downloaded += weight
        self.promised[node] -= weight
        for segment in segments.tolist():
            self.holders[segment].add(node)

    def give(self, node: int, segments: NDArray[np.int64]) -> None:
        """Let *node* hold *segments* at once, as a rule does that is not simulated in time."""
        self.start(node, segments)
        self._queues[node].clear()
        self._hold(node, segments, 0)

    def evict(self, leaving: dict[int, NDArray[np.int64]]) -> None:
        """Let nodes go of segments, all at the same moment; counts the last copies that are destroyed by it."""
        before = self.alive > 0
        for node, segments in leaving.items():
            weight = int(self.archive.size[segments].sum())
            self.excused += min(weight, max(0, int(self.used[node] - self.quota[node])))
            self.held[node, segments] = False
            self.used[node] -= weight
            self.live[segments] -= 1
            self.alive[segments] -= 1
            np.subtract.at(self.joined[node], self.archive.owner[segments], 1)
            for segment in segments.tolist():
                self.holders[segment].discard(node)
        self.destroyed += int((before & (self.alive == 0)).sum())

    def leave(self, node: int) -> None:
        """Take *node* offline: what it holds is remembered."""
        if self.online[node]:
            self.online[node] = False
            self.absent[node] = self.held[node].any()
            self.live -= self.held[node]
            self.ghosts += self.held[node]
            self.coming -= self.flying[node]

    def come_back(self, node: int, *, remembered: bool) -> None:
        """Bring *node* online again; *remembered*: it still counted as a ghost."""
        self.online[node] = True
        self.absent[node] = False
        self.live += self.held[node]
        self.coming += self.flying[node]
        if remembered:
            self.ghosts -= self.held[node]

    @property
    def away(self) -> float:
        """Part of the remembered nodes that is offline."""
        gone = int(self.absent.sum()) + self.departed
        return gone / max(1, gone + int(self.online.sum()))

    def forget(self, held: Mask) -> None:
        """Stop remembering the copies *held* of a node that has been away for longer than T_mem."""
        self.ghosts -= held

    def die(self, node: int) -> Mask:
        """Take *node* away for ever; returns what it held, which the others remember for T_mem."""
        lost: Mask = self.held[node].copy()
        self.leave(node)
        self.absent[node] = False
        self.alive -= lost
        self.excused += int(self.archive.size[lost].sum())
        for segment in np.flatnonzero(lost).tolist():
            self.holders[segment].discard(node)
        self.held[node] = False
        self.flying[node] = False
        self.used[node] = 0
        self.promised[node] = 0
        self.joined[node] = 0
        self._queues[node].clear()
        self._begun[node] = 0
        return lost

    def witness(self, tick: int) -> None:
        """Note which segments somebody online holds in this cycle."""
        self.last_online[self.live > 0] = tick
