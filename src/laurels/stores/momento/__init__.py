"""The store on Momento's sorted sets, through the official SDK."""
