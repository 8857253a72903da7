"""`pellucid completion`."""

import click
from click.shell_completion import BashComplete, FishComplete, ShellComplete, ZshComplete

_SHELLS: dict[str, type[ShellComplete]] = {"bash": BashComplete, "zsh": ZshComplete, "fish": FishComplete}


@click.command(short_help="Print the script for completion by the tab key.")
@click.argument("shell", type=click.Choice(list(_SHELLS)))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the script that lets SHELL complete commands, options and files by the tab key.

    \b
    Examples:
      pellucid completion bash >> ~/.bashrc
      pellucid completion zsh >> ~/.zshrc
      pellucid completion fish > ~/.config/fish/completions/pellucid.fish
    """
    made = _SHELLS[shell](context.find_root().command, {}, "pellucid", "_PELLUCID_COMPLETE")
    # `source()` would first ask a Bash for its version; the script can be for another machine.
    click.echo(made.source_template % made.source_vars())
