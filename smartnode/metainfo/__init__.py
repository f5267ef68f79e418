"""Reads and makes .torrent files and resume files, with limits: libtorrent without a session."""
