"""``catalogue inspect``: what a STAC GeoParquet file holds and which rows are refused, as the daemon would see it."""

import asyncio
from datetime import UTC, datetime

from smartnode.catalogue.inspect import inspect
from smartnode.cli.show import print_json, print_line, print_table, progress_on_stderr


def show_inspection(source: str, *, as_json: bool) -> None:
    """Read *source* and print the counts, the items and every rejected row with its reason."""
    with progress_on_stderr("reading the catalogue"):
        found = asyncio.run(inspect(source, now=datetime.now(UTC)))
    rejected = [{"row": r.row, "id": r.id, "reason": r.reason} for r in found.rejected]
    if as_json:
        print_json(
            {
                "items": found.good,
                "with_torrent": found.with_torrent,
                "deprecated": found.deprecated,
                "rejected": rejected,
                "rejected_total": found.rejected_total,
                "rows": found.rows,
                "sha256": found.sha256,
                "signature": "not checked: signatures are not supported yet",
            }
        )
        return
    print_line(
        f"{found.good} items, {found.with_torrent} with a torrent, {found.deprecated} deprecated,"
        f" {found.rejected_total} of {found.rows} rows rejected"
    )
    print_line("signature: not checked, signatures are not supported yet")
    if rejected:
        print_table(
            "rejected rows",
            ["row", "id", "reason"],
            [[str(r["row"]), str(r["id"] or "none"), str(r["reason"])] for r in rejected],
        )
