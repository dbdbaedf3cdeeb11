"""What is sent to the kernel for the `netem` shaper: pure, so it is tested everywhere."""
