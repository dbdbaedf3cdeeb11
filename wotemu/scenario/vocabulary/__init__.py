"""The words of a scenario, each of which becomes steps at offsets from T0."""
