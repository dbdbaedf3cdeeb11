"""A deployment of Python as the text of a YAML or JSON file, which is checked to mean the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

from wotemu.errors import InputError
from wotemu.forms.deployment import read_form
from wotemu.forms.document import parse
from wotemu.forms.writing import plain_form
from wotemu.forms.yaml_text import yaml_text
from wotemu.scenario.resolver import resolve
from wotemu.scenario.scenario import Scenario
from wotemu.topology.deployment_paths import relative_to
from wotemu.topology.topology import Topology


def written_form(
    topology: Topology, scenario: Scenario, *, file: Path, language: Literal["yaml", "json"]
) -> str:
    """The text of a file that has this topology and a scenario of the same timeline.

    Args:
        topology: The topology.
        scenario: The scenario.
        file: Where they come from. The text belongs into its folder, as relative paths start there.
        language: Of the text.

    Raises:
        InputError: Something in them has no form.
    """
    form = plain_form(topology, scenario)
    if language == "json":
        text = json.dumps(form, indent=2, ensure_ascii=False) + "\n"
    else:
        text = f"# From {file.name!r}\n{yaml_text(form)}"
    name = f"{file.stem}.{language}"
    with relative_to(file.parent):
        read = read_form(parse(text, name, as_json=language == "json"))
    if read[0] != topology or resolve(*read)[0].hash != resolve(topology, scenario)[0].hash:
        raise InputError(
            "as a form it would not be the same deployment",
            where=file.name,
            hint="please report this, with the file; until then, keep it in Python",
        )
    return text
