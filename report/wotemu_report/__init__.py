"""Recorded tables to figures to one offline HTML page."""
