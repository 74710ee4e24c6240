"""Drivers of servers and editors, shared by the tests, the measurements and the makers of pictures."""
