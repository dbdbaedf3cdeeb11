"""From a topology to a plan: who runs where, with which addresses, files and probes. Pure."""
