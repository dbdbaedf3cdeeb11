"""From the bus to the run directory: what roles publish is checked, counted and stored."""
