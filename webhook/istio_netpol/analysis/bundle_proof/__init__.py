"""What the proof of a bundle asks besides the required flows that `check` knows."""
