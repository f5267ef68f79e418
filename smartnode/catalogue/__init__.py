"""The STAC GeoParquet catalogue: fetched whole, read in a sandboxed child, kept for ever."""
