"""What runs inside the sandbox; it imports nothing from outside, and little of the library."""
