"""``wotemu completion``: print the script by which a shell completes commands, options and names."""

from __future__ import annotations

import click

INSTALL = {
    "bash": '# In ~/.bashrc:  eval "$(wotemu completion bash)"',
    "zsh": '# In ~/.zshrc, after compinit:  eval "$(wotemu completion zsh)"',
    "fish": "# Once:  wotemu completion fish > ~/.config/fish/completions/wotemu.fish",
}


@click.command(short_help="Print the script that completes commands in bash, zsh or fish.")
@click.argument("shell", type=click.Choice(list(INSTALL)))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the script by which SHELL completes commands, options, files and the names of runs.

    \b
    eval "$(wotemu completion bash)"        # in ~/.bashrc
    eval "$(wotemu completion zsh)"         # in ~/.zshrc, after compinit
    wotemu completion fish > ~/.config/fish/completions/wotemu.fish
    """
    from click.shell_completion import get_completion_class

    maker = get_completion_class(shell)
    assert maker is not None  # noqa: S101  # click has all three
    print(INSTALL[shell])
    print(maker(ctx.find_root().command, {}, "wotemu", "_WOTEMU_COMPLETE").source())
