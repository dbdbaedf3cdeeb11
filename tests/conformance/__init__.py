"""One suite that every shaper passes: real traffic, measured, against what the conditions say."""
