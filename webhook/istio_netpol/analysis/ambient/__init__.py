"""What policies see of connections that ambient mode carries through tunnels."""
