module istio-netpol.io/tests/tools/crds

go 1.26.0

// Only the manifests in these modules are read, nothing of them is compiled: keep `go mod tidy` away.
require (
	github.com/argoproj/argo-rollouts v1.9.2
	github.com/cert-manager/cert-manager v1.21.2
	github.com/fluxcd/helm-controller v1.4.0
	github.com/fluxcd/source-controller v1.7.0
	github.com/kyverno/kyverno v1.15.2
	github.com/openreports/reports-api v0.2.1
	github.com/prometheus-operator/prometheus-operator v0.85.0
	istio.io/api v1.31.4
	sigs.k8s.io/gateway-api v1.6.3
)
