"""The fidelity certificate, without anything running."""
