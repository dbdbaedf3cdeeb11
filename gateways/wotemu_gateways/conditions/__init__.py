"""The conditions of hops, composed of their network's and their link's, and who reaches whom. Pure."""
