"""`python -m istio_netpol` is `istio-netpol`."""

from istio_netpol.cli.main import main

main()
