"""What the command line shows of a run: quiet, line by line, or live."""
