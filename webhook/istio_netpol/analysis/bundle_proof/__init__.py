"""Behind `istio-netpol bundle verify`: the proof of a bundle, of which `proof.py` asks every question."""
