"""The publisher's side: STAC items and the catalogue file."""
