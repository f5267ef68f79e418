"""The guard: nothing that is held goes without proof that enough others hold it.

The proof itself (block proofs of holders, ranks of the epoch, age of the holders, a synchronised clock) arrives with a
later protocol step; until then every eviction that needs it is refused, and the refusal names what is missing.
"""

from dataclasses import dataclass

from smartnode.planning.policy import Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What is seen of one segment: smartnode holders in contact within A_guard, age of the view (None: never looked),
    live mirrors (None: unknown).
    """

    holders: int
    age_s: float | None
    mirrors: int | None


def holders_required(*, floor: int, shrunk: bool, mirrors: int | None, policy: Policy) -> int:
    """Better-ranked smartnode holders that an eviction needs: K, but 1 where the archive stands below two copies or
    the volunteer shrank the quota, and one more while no mirror is known to be alive.
    """
    return (1 if shrunk or floor < 2 else policy.k) + (0 if mirrors else 1)  # noqa: PLR2004 - F < 2 is the rule's own


def refusal(evidence: Evidence, *, required: int, policy: Policy) -> str:
    """Say in one clause why an eviction is refused."""
    minutes = policy.a_guard.total_seconds() / 60
    seen = f"{evidence.holders} seen" if evidence.age_s is not None else "the swarm was never looked at"
    age = "" if evidence.age_s is None else f" in a view {evidence.age_s / 60:.0f} min old"
    return (
        f"needs {required} smartnode holders of every piece, each proved within {minutes:.0f} min "
        f"({seen}{age}); this version cannot prove holders yet, so it lets nothing go"
    )
