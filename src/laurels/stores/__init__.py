"""Where boards are kept: the contract, and the stores that keep it."""
