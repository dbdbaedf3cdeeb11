"""The swarm engine: Docker Swarm places the roles; WoTemu never schedules containers itself."""
