"""What an index holds: `numbers.py` has the figures, and the other modules measure, print and draw them."""
