"""Deployments as YAML or JSON: read without running code, described by a JSON Schema, written from Python's.

What a form can say follows from the classes of `wotemu.topology` and the signatures of the scenario's words.
"""
