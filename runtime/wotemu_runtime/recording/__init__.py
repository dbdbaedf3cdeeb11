"""From the bus to the run directory, in one direction.

`recorder` reads stream entries; `ingest` decides which records count, by `deduplication` and `liveness`;
`run_directory` stores them, with a `checkpoint`; `totals` counts them; `retention` trims the bus to what is
not stored yet; `bus_mirror` keeps a copy of the directory on the bus, where files are out of reach.
"""
