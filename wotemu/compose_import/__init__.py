"""Docker compose files as a start: a deployment's Python text, and what of the file it leaves out."""
