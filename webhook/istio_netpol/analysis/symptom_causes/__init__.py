"""Behind `istio-netpol explain --symptom`: which denied connections can cause what somebody saw."""
