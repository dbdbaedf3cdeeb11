"""``wotemu schema``: the JSON Schema of deployments in YAML and JSON."""

from __future__ import annotations

import click


@click.command(short_help="Print the JSON Schema of deployments in YAML or JSON, for editors.")
def schema() -> None:
    """Print the JSON Schema (draft 2020-12) of deployments in YAML or JSON.

    \b
    wotemu schema > wotemu.schema.json

    Editors find it by the first line of deployment.yml:

    \b
    # yaml-language-server: $schema=wotemu.schema.json
    """
    import json

    from wotemu.forms.deployment import form_schema

    click.echo(json.dumps(form_schema(), indent=1))
