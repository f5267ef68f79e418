"""Commands of the public contract that a later version brings; until then they are refused, never silently accepted."""

from difflib import get_close_matches

import click

from smartnode.errors import ConfigError

NOT_YET = frozenset(
    {
        "adopt",
        "doctor",
        "init",
        "leave",
        "pause",
        "publish",
        "resume",
        "verify",
    }
)


class Commands(click.Group):
    """The commands that work; an unknown one is refused with the nearest name."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that *args* begins with; ConfigError (exit 2) when it does not work yet or is unknown."""
        name = args[0]
        if self.get_command(ctx, name) is None and not name.startswith("-"):
            if name in NOT_YET and ctx.parent is None:
                message = f"'smartnode {name}' is not supported yet"
                raise ConfigError(message, cure="see CHANGELOG.md for what this version does")
            near = get_close_matches(name, self.list_commands(ctx), n=1)
            cure = f"did you mean '{near[0]}'?" if near else f"one of: {', '.join(self.list_commands(ctx))}"
            message = f"no command is named '{name}'"
            raise ConfigError(message, cure=cure)
        return super().resolve_command(ctx, args)
