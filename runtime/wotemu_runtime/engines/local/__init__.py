"""The local engine: namespaces on this machine, no Docker, no root where the kernel allows it."""
