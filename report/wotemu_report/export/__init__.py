"""The data of a report for other programs."""
