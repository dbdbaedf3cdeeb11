"""From the recorded tables to the small tables that sections show."""
