"""The built-in apps, a module each; `_consumer` and `_producer` are what they share."""
