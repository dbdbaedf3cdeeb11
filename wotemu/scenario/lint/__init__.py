"""Warnings about scenarios that can be run but may not do what they were meant to. Pure."""
