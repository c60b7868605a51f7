"""The store inside the process: ranking indexes in memory, SQLite files beneath them."""
