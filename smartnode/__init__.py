"""Smartnode: the volunteer daemon of Data for Canada."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("smartnode")
except PackageNotFoundError:  # a source tree that was never installed
    __version__ = "0+unknown"
