"""What is odd about the policies themselves: too wide, without effect, or needless."""
