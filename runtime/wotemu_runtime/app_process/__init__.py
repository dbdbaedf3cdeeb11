"""Code that runs in the process of an app: loads it, serves it and measures its interactions."""
