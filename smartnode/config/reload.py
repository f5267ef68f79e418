"""What SIGHUP may change: keys that a running node takes over at once; all others wait for a restart, and are
named.
"""

from smartnode.config.settings import Settings

AT_RUN_TIME = frozenset(
    {
        "node.region",
        "node.jurisdiction",
        "storage.quota",
        "storage.keep_free",
        "catalogue.refresh",
        "network.siblings",
    }
)
SECTIONS_AT_RUN_TIME = frozenset({"bandwidth", "cycle", "selection"})


def changed(old: Settings, new: Settings) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return (keys taken over now, keys that need a restart), both sorted."""
    applied: list[str] = []
    waiting: list[str] = []
    for section in type(old).model_fields:
        before, after = getattr(old, section), getattr(new, section)
        for key, field in type(before).model_fields.items():
            if getattr(before, key) != getattr(after, key):
                name = f"{section}.{field.alias or key}"
                (applied if name in AT_RUN_TIME or section in SECTIONS_AT_RUN_TIME else waiting).append(name)
    return tuple(sorted(applied)), tuple(sorted(waiting))
