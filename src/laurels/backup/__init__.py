"""Backups: copies of a data directory, taken while it is in use, and directories made of them again."""
