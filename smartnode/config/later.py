"""Keys of the public contract that a later version brings: refused by name, so that nobody believes in a dead
setting.
"""

NOT_YET_SECTIONS = frozenset({"scrub", "sources", "alerts"})

NOT_YET_KEYS = frozenset(
    {
        "api.public_status",
        "api.token_file",
        "bandwidth.month_starts_on",
        "bandwidth.monthly_total",
        "bandwidth.monthly_upload",
        "bandwidth.windows",
        "catalogue.hold_time",
        "catalogue.public_keys",
        "catalogue.shrink_limit",
        "node.language",
    }
)


def is_later(section: str, key: str) -> bool:
    """Say whether ``section.key`` is a key that a later version brings."""
    return section in NOT_YET_SECTIONS or f"{section}.{key}" in NOT_YET_KEYS
