"""The page of a plan: a timeline that has not run yet."""
