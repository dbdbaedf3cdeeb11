"""The process of an app on WoTPy: loads the app, serves its Things and measures its interactions."""
