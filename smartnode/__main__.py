"""``python -m smartnode`` is the ``smartnode`` command."""

from smartnode.cli.app import main

main()
