"""Decides AdmissionReviews: codec, scope, mode, decision and wording. Does no I/O."""
