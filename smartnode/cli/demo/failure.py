"""What ends the demo early."""

from smartnode.errors import ExitCode, SmartnodeError


class DemoError(SmartnodeError):
    """A step of the demo failed. *log* is the end of the guilty node's log, empty when no node is to blame."""

    exit_code = ExitCode.FAILED
    room = "demo"

    def __init__(self, text: str, *, cure: str = "", log: str = "") -> None:
        """Keep *log* apart: it is many lines, the error is one."""
        super().__init__(text, cure=cure)
        self.log = log
