"""A run directory as values and tables: manifest, topology, timeline, events, tables and logs."""
