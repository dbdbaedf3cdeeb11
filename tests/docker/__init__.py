"""Tests of what runs in containers: the Docker API proxy, the image and its roles, real swarms."""
