"""Starts, stops and restarts the app of one node, and takes what the app sends and prints."""
