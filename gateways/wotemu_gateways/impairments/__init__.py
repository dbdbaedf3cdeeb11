"""What conditions do to packets on one hop: rate and queue, loss, alteration, delay. Pure."""
