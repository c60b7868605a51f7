"""The feed: events over every way in, and the hub that makes them."""
