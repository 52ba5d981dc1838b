"""What a bundle's default-deny meets in a cluster: whom it isolates, and what policies still leave them."""
