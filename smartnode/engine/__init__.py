"""The only owner of a libtorrent session."""
