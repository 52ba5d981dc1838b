"""The settings file: read once at the edge, checked as a whole, frozen; and the page that documents it."""
