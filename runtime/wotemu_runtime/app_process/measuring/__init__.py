"""Measures the interactions of an app on WoTPy without a change to the app."""
