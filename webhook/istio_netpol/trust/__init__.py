"""Who may say what about whom, and which addresses an object may open."""
