"""How charts look: one time axis with its phases, one palette, one way of drawing series."""
