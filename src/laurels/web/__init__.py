"""What browsers load: plain modules and a style sheet of our own, which nothing builds, and the addresses of each."""
