"""The page that shows a timeline before it runs."""
