"""What plugins say about themselves, and how they are found, loaded and asked."""
