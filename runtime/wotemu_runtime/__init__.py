"""What a run does while it lives: coordinator, engines, bus, agents, built-in apps."""
