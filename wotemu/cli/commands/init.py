"""``wotemu init``: a deployment to edit, commented or of a docker compose file."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from wotemu.cli.failures import reporting_errors
from wotemu.cli.options import debug_option


@click.command(short_help="Make a folder with a deployment to edit, which runs as it is.")
@click.argument("directory", metavar="DIR", type=click.Path(path_type=Path))
@click.option(
    "--from",
    "source",
    metavar="COMPOSE",
    type=click.Path(path_type=Path),
    help="Make it of this docker compose file instead.",
)
@debug_option
def init(directory: Path, source: Path | None, debug: bool) -> None:
    """Write a commented deployment.py and the app.py that its nodes run to the folder DIR.

    They run as they are, in 20 seconds. Files that are there are not overwritten.

    With --from, deployment.py has the services and networks of a docker compose file. A service with a
    command, a build or replicas becomes a node; one with an image alone becomes a service that nodes use, or
    their MQTT broker if it is Mosquitto or another one.
    What a deployment has no counterpart for is listed with its place, on the terminal and in the file.

    \b
    wotemu init farm
    wotemu run farm/deployment.py
    wotemu init farm --from compose.yml
    """
    with reporting_errors(debug=debug):
        from wotemu.cli.screen.terminal import harmless

        lines = _starter(directory) if source is None else _of_compose_file(directory, source)
        for line in lines:
            click.echo(harmless(line))


def _starter(directory: Path) -> list[str]:
    """Write the commented deployment and its apps; what to say about it."""
    from importlib.resources import files

    folder = files("wotemu.cli.starter")
    texts = {name: (folder / name).read_text(encoding="utf-8") for name in ("deployment.py", "app.py")}
    paths = _write(directory, texts)
    file = shlex.quote(str(paths[0]))
    return [*(f"{path}: written" for path in paths), f"Next: wotemu plan {file}", f"Then: wotemu run {file}"]


def _of_compose_file(directory: Path, source: Path) -> list[str]:
    """Write the deployment of a docker compose file; what to say about it."""
    from wotemu.compose_import.compose_import import import_compose
    from wotemu.errors import InputError
    from wotemu.forms.document import read_document
    from wotemu.wording import counted

    folder = str(source).removesuffix(source.name)
    try:
        made = import_compose(read_document(source, merge_keys=True))
    except InputError as error:
        if (error.where or "").startswith(source.name):
            error.where = f"{folder}{error.where}"
        raise
    (path,) = _write(directory, {"deployment.py": made.text})
    counts = [
        counted(len(made.nodes), "node"),
        counted(len(made.services), "service"),
        *([counted(len(made.brokers), "broker")] if made.brokers else []),
        counted(len(made.networks), "network"),
    ]
    return [
        f"{path}: {', '.join(counts)}",
        *(["Left out, or to be completed:"] if made.left_out else []),
        *(f"  {folder}{each.place}: {each.reason}" for each in made.left_out),
        f"Next: wotemu plan {shlex.quote(str(path))}",
    ]


def _write(directory: Path, texts: dict[str, str]) -> list[Path]:
    """Write files to a folder, which is made where it isn't there.

    Args:
        directory: The folder.
        texts: Text by the file's name.

    Returns:
        Their paths.

    Raises:
        LoadError: One of them is there already, and nothing is written; or they can't be written.
    """
    from wotemu.errors import LoadError

    paths = [directory / name for name in texts]
    for path in paths:
        if path.exists() or path.is_symlink():
            hint = "give another folder, or move the file away"
            raise LoadError("it is there already", where=str(path), hint=hint)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for path, text in zip(paths, texts.values(), strict=True):
            with path.open("x", encoding="utf-8") as file:
                file.write(text)
    except OSError as error:
        raise LoadError(
            f"it can't be written: {error.strerror or error}", where=str(error.filename or directory)
        ) from error
    return paths
