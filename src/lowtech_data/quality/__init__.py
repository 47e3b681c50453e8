"""What is checked before a release is switched, and what is said of sources."""
