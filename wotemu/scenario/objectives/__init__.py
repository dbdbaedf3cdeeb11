"""What a run is expected to show: figures, limits, and when they have to hold."""
