"""What is seen where proxies, pods, the API server or DNS are cut off from the control plane."""

from __future__ import annotations

from istio_netpol.model.flows import FlowKind
from istio_netpol.symptoms.elsewhere import ISTIOD_FLOWS
from istio_netpol.symptoms.symptom import Blame, Symptom, Topic, words

NO_ANSWER = (
    r"(?:context deadline exceeded|net/http: request canceled|net/http: TLS handshake timeout"
    r"|dial tcp (?:\S{1,260} )?i/o timeout)"
)
REFUSAL = r"connect: (?:connection refused|no route to host)"
NEEDLES_OF_NO_ANSWER = ("deadline exceeded", "request canceled", "handshake timeout", "i/o timeout")
NEEDLES_OF_REFUSAL = ("connection refused", "no route to host")
_OF_API_SERVER = (
    r"https://(?:(?:[0-9.]{7,15}|\[[0-9a-f:]{2,45}\]|kubernetes[a-z.]{0,60}|[^/\"\s:]{1,253}:6443)(?::\d{1,5})?"
    r"/(?:api|apis|version|healthz|readyz)\b|[^/\"\s]{1,260}/(?:api/v1/(?:namespaces|pods|nodes|services"
    r"|endpoints|configmaps|secrets|events)|apis/[a-z0-9.-]{1,253}/v\d))[^\s\"]{0,500}\"?:"
)
"""A URL of the Kubernetes API: an application has paths that begin with /api, too, at a host of its own."""

WEBHOOKS = (
    Symptom(
        "webhook-no-answer",
        Topic.API_SERVER,
        (
            'failed calling webhook "namespace.sidecar-injector.istio.io": failed to call webhook: Post '
            '"https://istiod.istio-system.svc:443/inject?timeout=10s": context deadline exceeded',
        ),
        Blame.LIKELY,
        (FlowKind.WEBHOOK_FROM_APISERVER,),
        "The API server called the webhook and nobody answered. Where the webhook fails open, pods start "
        "without a sidecar and nothing is said but in the API server's log.",
        "The host of the URL is the Service; policies see the port of its pods (15017 of istiod). The "
        "firewall "
        "between the API server and the nodes of a private cluster looks the same.",
        words(rf"failed calling (?:admission )?webhook.{{0,500}}?{NO_ANSWER}"),
        NEEDLES_OF_NO_ANSWER,
    ),
    Symptom(
        "webhook-refused",
        Topic.API_SERVER,
        (
            'failed calling webhook "namespace.sidecar-injector.istio.io": failed to call webhook: Post '
            '"https://istiod.istio-system.svc:443/inject?timeout=10s": dial tcp 10.96.36.47:443: '
            "connect: connection refused",
        ),
        Blame.POSSIBLE,
        (FlowKind.WEBHOOK_FROM_APISERVER,),
        "The connection to the webhook was refused.",
        "A plugin that rejects does that, and so does a Service without ready pods: see `kubectl get "
        "endpointslice`.",
        words(rf"failed calling (?:admission )?webhook.{{0,500}}?dial tcp \S{{1,260}}: {REFUSAL}"),
        NEEDLES_OF_REFUSAL,
    ),
    Symptom(
        "conversion-webhook",
        Topic.API_SERVER,
        (
            "conversion webhook for gateway.kyma-project.io/v1beta1, Kind=APIRule failed: Post "
            '"https://api-gateway-webhook-service.kyma-system.svc:9443/convert?timeout=30s": context '
            "deadline "
            "exceeded",
        ),
        Blame.LIKELY,
        (FlowKind.WEBHOOK_FROM_APISERVER,),
        "The API server could not have objects converted to another version, not even to read them.",
        "After `connection refused` look for the pods of the Service first.",
        words(r"conversion webhook for .{1,200}? failed: "),
        ("conversion webhook for ",),
    ),
    Symptom(
        "aggregated-api",
        Topic.API_SERVER,
        (
            "the server is currently unable to handle the request",
            'failing or missing response from https://10.1.2.3:443/apis/metrics.k8s.io/v1beta1: Get "https://'
            '10.1.2.3:443/apis/metrics.k8s.io/v1beta1": context deadline exceeded',
        ),
        Blame.POSSIBLE,
        (FlowKind.WEBHOOK_FROM_APISERVER,),
        "The pods that serve a part of the Kubernetes API did not answer the API server.",
        "`kubectl get apiservice` names those that are not available, and why.",
        words(
            r"the server is currently unable to handle the request|FailedDiscoveryCheck"
            r"|failing or missing response from https://"
        ),
        ("unable to handle the request", "faileddiscoverycheck", "failing or missing response"),
    ),
    Symptom(
        "webhook-failed",
        Topic.API_SERVER,
        ("failed calling webhook",),
        Blame.POSSIBLE,
        (FlowKind.WEBHOOK_FROM_APISERVER,),
        "The API server called a webhook without success.",
        "The end of the line decides: `context deadline exceeded` or `i/o timeout` is silence, `connection "
        "refused` a plugin that rejects or a Service without pods, a status is the webhook's own answer.",
        words(r"failed calling (?:admission )?webhook"),
        ("failed calling ",),
    ),
)

API_SERVER_SYMPTOMS = (
    Symptom(
        "istiod-waits-for-sync",
        Topic.API_SERVER,
        ("waiting for sync... name=ConfigMap_istio attempt=100 time=9.49s",),
        Blame.LIKELY,
        (FlowKind.TO_APISERVER,),
        "istiod gets no objects from the API server. Since Istio 1.2x this is all that it prints, whether "
        "packets are dropped or rejected.",
        "Missing RBAC permissions and an API server that is down look the same.",
        words(r"waiting for sync\.{0,3}\s{1,20}name=\S{1,200} attempt=\d{2,9}"),
        ("waiting for sync",),
    ),
    Symptom(
        "api-server-no-answer",
        Topic.API_SERVER,
        (
            'failed to list *v1.Pod: Get "https://10.96.0.1:443/api/v1/pods": dial tcp 10.96.0.1:443: '
            "i/o timeout",
            "Unable to connect to the server: context deadline exceeded",
        ),
        Blame.LIKELY,
        (FlowKind.TO_APISERVER,),
        "The program got no answer from the API server.",
        "The address is the ClusterIP; policies see the endpoint's address and port, often 6443. On a laptop "
        "it is not a policy. `TLS handshake timeout` points at the MTU.",
        words(
            rf"{_OF_API_SERVER} .{{0,40}}?{NO_ANSWER}"
            r"|Unable to connect to the server: (?:context deadline exceeded|net/http: TLS handshake timeout"
            r"|dial tcp \S{1,260} i/o timeout)"
        ),
        NEEDLES_OF_NO_ANSWER,
    ),
    Symptom(
        "api-server-refused",
        Topic.API_SERVER,
        ('Get "https://10.96.0.1:443/version": dial tcp 10.96.0.1:443: connect: connection refused',),
        Blame.POSSIBLE,
        (FlowKind.TO_APISERVER,),
        "The connection to the API server was refused.",
        "A plugin that rejects, or an API server that is down: see whether "
        "a hostNetwork pod of the same node reaches it.",
        words(
            rf"{_OF_API_SERVER} dial tcp \S{{1,260}}: {REFUSAL}"
            r"|The connection to the server \S{1,260} was refused"
        ),
        (*NEEDLES_OF_REFUSAL, "was refused"),
    ),
    Symptom(
        "watch-error",
        Topic.API_SERVER,
        ("watch error in cluster Kubernetes",),
        Blame.POSSIBLE,
        (FlowKind.TO_APISERVER,),
        "A running istiod lost its watch of the API server.",
        "A restart of the API server ends watches too; missing permissions say `forbidden`.",
        words(r"watch error in cluster \S{1,253}"),
        ("watch error in cluster",),
    ),
    Symptom(
        "cni-plugin",
        Topic.PODS,
        (
            'FailedCreatePodSandBox: plugin type="istio-cni" name="istio-cni" failed (add): unable to '
            "push CNI "
            "event",
            "no ztunnel connection",
        ),
        Blame.POSSIBLE,
        (*ISTIOD_FLOWS, FlowKind.TO_APISERVER),
        "Istio's CNI plugin could not set the pod up. It asks istio-cni-node, and that ztunnel, through "
        "files "
        "of the node.",
        "`no ztunnel connection`: ztunnel is not ready, see its own way to istiod and DNS. `failed to "
        "contact "
        "node`: istio-cni-node is not ready, see its way to the API server.",
        words(
            r'plugin type="istio-cni".{0,200}?failed \((?:add|delete)\)|no ztunnel connection'
            r"|istio-cni cmdAdd failed to contact node"
        ),
        ('plugin type="istio-cni"', "no ztunnel connection", "cmdadd failed to contact node"),
    ),
)


CONTROL_PLANE = (*WEBHOOKS, *API_SERVER_SYMPTOMS)
