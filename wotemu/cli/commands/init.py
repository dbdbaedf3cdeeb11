"""``wotemu init``: a deployment to edit."""

from __future__ import annotations

from pathlib import Path

import click

from wotemu.cli.failures import reporting_errors
from wotemu.cli.options import debug_option


@click.command(short_help="Make a folder with a deployment of a docker compose file, to edit.")
@click.argument("directory", metavar="DIR", type=click.Path(path_type=Path))
@click.option(
    "--from",
    "source",
    metavar="COMPOSE",
    required=True,
    type=click.Path(path_type=Path),
    help="The docker compose file.",
)
@debug_option
def init(directory: Path, source: Path, debug: bool) -> None:
    """Make DIR/deployment.py with the services and networks of a docker compose file, to edit.

    A service with a command, a build or replicas becomes a node; one with an image alone becomes a
    service that nodes use. What a deployment has no counterpart for is listed with its place, on the
    terminal and in the file.

    \b
    wotemu init farm --from compose.yml
    wotemu plan farm/deployment.py
    """
    with reporting_errors(debug=debug):
        from wotemu.cli.screen.terminal import harmless
        from wotemu.compose_import.compose_import import import_compose
        from wotemu.forms.document import read_document
        from wotemu.wording import counted

        made = import_compose(read_document(source, merge_keys=True))
        target = _written(directory, made.text)
        counts = [
            counted(len(made.nodes), "node"),
            counted(len(made.services), "service"),
            counted(len(made.networks), "network"),
        ]
        click.echo(harmless(f"{target}: {', '.join(counts)}"))
        if made.left_out:
            click.echo("Left out, or to be completed:")
        for each in made.left_out:
            click.echo(harmless(f"  {each.place}: {each.reason}"))
        click.echo(harmless(f"Next: wotemu plan {target}"))


def _written(directory: Path, text: str) -> Path:
    """Write the deployment's file, which must not be there yet.

    Raises:
        LoadError: It is there, or can't be written.
    """
    from wotemu.errors import LoadError

    target = directory / "deployment.py"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with target.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as error:
        hint = "give another folder, or move the file away"
        raise LoadError("it is there already", where=str(error.filename or target), hint=hint) from error
    except OSError as error:
        raise LoadError(
            f"it can't be written: {error.strerror or error}", where=str(error.filename or target)
        ) from error
    return target
