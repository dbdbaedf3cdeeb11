"""Measurements and published data sets read into traces: what ``.replay`` takes."""
