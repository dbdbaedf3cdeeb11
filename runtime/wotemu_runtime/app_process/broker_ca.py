"""The certificate by which a node's programs know brokers that use TLS, as a file of the node's."""

from __future__ import annotations

from collections.abc import MutableMapping
from pathlib import Path

CA_TEXT = "WOTEMU_BROKER_CA_PEM"
"""The variable that hands it to the node's launcher; programs don't see it."""
CA_FILE = "WOTEMU_BROKER_CA"
"""The variable with the path of the file."""


def place(environ: MutableMapping[str, str]) -> None:
    """Write the file into the node's scratch folder unless it is there, and name it in the environment."""
    text = environ.pop(CA_TEXT, None)
    if text is None:
        return
    path = Path(environ["WOTEMU_SCRATCH"], "wotemu-broker-ca.pem")
    if not path.exists():
        path.write_text(text)
    environ[CA_FILE] = str(path)
