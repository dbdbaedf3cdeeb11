"""An app as the topology names it: its spec, its target and how that is checked and imported."""
