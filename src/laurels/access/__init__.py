"""Access: who may do what, as one file says it."""
