"""A report that grows while its run goes on: served on loopback, and only to whoever has its address."""
