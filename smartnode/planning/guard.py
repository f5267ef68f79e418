"""The guard: a held segment goes only while enough others are proved to hold it, and only from one node at a time.

Why no interleaving destroys the last copy, with K >= 1 better-ranked proved holders asked for:

- Within an epoch ranks are fixed, and only the lowest-ranked of all holders seen since the epoch began may evict. All
  of them are seen, because a node needs a look from the epoch's quiet window, in which nobody evicts. So at most one
  node evicts a segment per epoch, and the K best-ranked holders never find K better ones: they keep it.
- Across epochs a view is younger than the quiet window, so nothing that was decided in the last epoch is unseen.
- What is not known refuses: no look, no proof, a clock that may be wrong.

Only smartnodes of this network count: other clients and web seeds obey no guard. Holders of one network (/24, /48) or
of one operator are one holder.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from smartnode.domain.identity import InfoHash, NodeId
from smartnode.planning.ranks import rank
from smartnode.planning.terms import Terms

Segment = tuple[InfoHash, int]
"""A torrent's info-hash and the number of a segment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rival:
    """Another smartnode that was seen with a whole segment since the epoch began.

    *group*: its network (/24, /48), or the operator that it shares with others. *holds*: seen with the segment within
    A_guard, by connection or probe. *age*: how long ago it was first seen with the segment. *proved*: blocks of it were
    compared with our own within A_guard; False: asked in this epoch, it lied, lacked it, or did not answer; None: not
    asked.
    """

    node: NodeId
    group: str
    holds: bool
    age: timedelta
    proved: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What is known about one held segment in this epoch. *looked_quiet*: the swarm was looked at in the epoch's quiet
    window.
    """

    rivals: tuple[Rival, ...] = ()
    looked_quiet: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Hearing:
    """All that the guard is told for one plan. *clock*: why the clock cannot be trusted, None when it can."""

    evidence: Mapping[Segment, Evidence] = field(default_factory=dict)
    clock: str | None = "the clock was not checked"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stakes:
    """How much depends on one segment. *floor*: F, the whole copies below the water level. *shrunk*: the volunteer
    lowered the quota below what is held. *mirrors*: live web seeds of its item, None: unknown. *urgent*: it makes room
    for a segment that nobody holds.
    """

    floor: int
    shrunk: bool
    mirrors: int | None
    urgent: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """*permitted*, or *reason* says in one clause what is missing. *proved*: better-ranked proved holders, one per
    network; *required*: how many there must be; *seen*: smartnodes seen with the segment since the epoch began.
    *provable*: only fresh looks and proofs are missing. *barred*: no proof would help, because of the clock, the epoch
    or this node's rank in it.
    """

    permitted: bool
    reason: str
    required: int
    proved: int
    seen: int
    provable: bool = False
    barred: bool = False


def holders_required(stakes: Stakes, terms: Terms) -> int:
    """Better-ranked smartnode holders that an eviction needs: K, but 1 where the archive stands below two copies, the
    volunteer shrank the quota, or a first copy comes for it; one more while no mirror is known to be alive.

    A first copy is worth more than a second one, but only beside a mirror: without one K and one more are needed.
    """
    few = stakes.shrunk or stakes.floor < 2 or (stakes.urgent and bool(stakes.mirrors))  # noqa: PLR2004 - F < 2 is the rule's own
    return (1 if few else terms.k) + (0 if stakes.mirrors else 1)


def judge(hearing: Hearing, segment: Segment, stakes: Stakes, *, node: NodeId, now: datetime, terms: Terms) -> Verdict:
    """Say whether *node* may let *segment* go now."""
    told = hearing.evidence.get(segment, Evidence())
    required = holders_required(stakes, terms)
    age = terms.holder_age_shrink if stakes.shrunk else terms.holder_age_swap
    info_hash, number = segment
    epoch = terms.epoch_of(now)
    own = rank(node, info_hash, segment=number, epoch=epoch)
    ranks = {rival.node: rank(rival.node, info_hash, segment=number, epoch=epoch) for rival in told.rivals}
    better = [rival for rival in told.rivals if ranks[rival.node] > own]
    able = [each for each in better if each.proved is not False and each.age >= age]
    proved, seen = _groups(each for each in able if each.holds and each.proved), len(told.rivals)
    reason = _lacking(hearing, told, terms, now) or _outranked(told, better)
    barred = bool(reason)
    provable = not barred and _groups(able) >= required
    if not barred and proved >= required:
        return Verdict(permitted=True, reason="", required=required, proved=proved, seen=seen, provable=True)
    reason = reason or f"{proved} of them proved, {seen} seen"
    return Verdict(
        permitted=False,
        reason=f"needs {required} better-ranked smartnodes proved to hold every piece: {reason}",
        required=required,
        proved=proved,
        seen=seen,
        provable=provable,
        barred=barred,
    )


def _lacking(hearing: Hearing, told: Evidence, terms: Terms, now: datetime) -> str:
    if hearing.clock is not None:
        return hearing.clock
    if terms.is_quiet(now):
        return "the epoch has just begun, everybody looks and nobody evicts"
    if not told.looked_quiet:
        return "the swarm was not looked at while this epoch was quiet"
    return ""


def _outranked(told: Evidence, better: list[Rival]) -> str:
    lower = len(told.rivals) - len(better)
    return f"{lower} of {len(told.rivals)} holders are ranked below this node and go first" if lower else ""


def _groups(rivals: Iterable[Rival]) -> int:
    return len({rival.group for rival in rivals})
