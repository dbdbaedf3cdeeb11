"""What holds on a hop, composed of the conditions of its network and its link. Pure."""
