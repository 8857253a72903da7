"""See what a vision network sees, and test why it decides."""
