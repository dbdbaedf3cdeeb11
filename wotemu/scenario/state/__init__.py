"""The state of a scenario at one moment: conditions, partitions, cuts and apps, changed step by step."""

from wotemu.scenario.state.base_conditions import base_conditions, conditions_hash
from wotemu.scenario.state.scenario_state import State

__all__ = ["State", "base_conditions", "conditions_hash"]
