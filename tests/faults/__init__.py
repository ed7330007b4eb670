"""Jobs killed at every step and at any moment, and what they must leave."""
