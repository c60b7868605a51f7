"""The audit log: one line for each write that takes the right to moderate, to define boards or to administer."""
