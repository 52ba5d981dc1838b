"""Folders as clusters: their manifests read as objects, and generated policies written beside them."""
