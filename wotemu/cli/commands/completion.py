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
def completion(shell: str) -> None:
    """Print the script by which SHELL completes commands, options, files, runs, and names in runs.

    \b
    eval "$(wotemu completion bash)"        # in ~/.bashrc
    eval "$(wotemu completion zsh)"         # in ~/.zshrc, after compinit
    wotemu completion fish > ~/.config/fish/completions/wotemu.fish
    """
    from wotemu.cli.completion_scripts import SCRIPTS

    print(INSTALL[shell])
    print(SCRIPTS[shell].strip())
