"""The decoding loop: sequences, what they plan, what they keep."""
