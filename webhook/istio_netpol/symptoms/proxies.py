"""What is seen where pods do not start, or their proxies get no configuration."""

from __future__ import annotations

from istio_netpol.model.flows import FlowKind
from istio_netpol.symptoms.control_plane import REFUSAL
from istio_netpol.symptoms.elsewhere import ISTIOD_FLOWS
from istio_netpol.symptoms.symptom import Blame, Symptom, Topic, words

ADDRESS = r"(?P<address>\d{1,3}(?:\.\d{1,3}){3}|\[[0-9a-f:.]{2,45}\])"
_POD_ROW = (
    r"^\s{0,40}(?:(?P<namespace>[a-z0-9][-a-z0-9]{0,62})\s{1,60})?(?P<pod>[a-z0-9][-a-z0-9.]{0,252})\s{1,60}"
)
_FEW_WORDS = r"\W{0,8}(?:\w{1,20}\W{1,4}){0,6}"
"""Before a status, by whoever asks: `pod cart is stuck in`."""

PROXIES = (
    Symptom(
        "istiod-not-reached",
        Topic.PODS,
        (
            "failed to sign CSR: create certificate: rpc error: code = Unavailable desc = connection "
            'error: desc = "'
            'transport: Error while dialing: dial tcp 10.96.7.7:15012: i/o timeout"',
            "dial tcp 10.96.7.7:15012: connect: connection refused",
        ),
        Blame.LIKELY,
        (*ISTIOD_FLOWS, FlowKind.DNS),
        "The proxy does not get its certificate or its configuration from istiod. The first line comes after "
        "20 to 40 seconds where packets are dropped, at once where they are rejected.",
        "`i/o timeout` is silence, `connection refused` a plugin that rejects or an istiod without "
        "ready pods. "
        "`Unauthenticated` or `x509` instead: the token or trust.",
        words(
            rf"dial tcp {ADDRESS}:15012: (?:i/o timeout|connect: connection timed out|{REFUSAL}"
            r"|operation was canceled)"
            r"|xdsproxy.{0,40}failed to connect to (?:delta )?upstream"
        ),
        (":15012", "xdsproxy"),
    ),
    Symptom(
        "proxy-not-ready",
        Topic.PODS,
        (
            "Envoy proxy is NOT ready: config not received from XDS server (is Istiod running?)",
            "sidecar not ready",
        ),
        Blame.LIKELY,
        (*ISTIOD_FLOWS, FlowKind.DNS),
        "The proxy has no configuration yet, so the pod stays in Init or is not ready.",
        "The line beside it decides: `lookup` is DNS, `dial tcp …:15012` is istiod, `code = "
        "Unauthenticated` is "
        "the token. In the first 30 seconds it is normal.",
        words(
            r"Envoy proxy is NOT ready: config not (?:fully )?received from (?:XDS server|Pilot)"
            r"|\b(?:sidecar|istio-proxy)\b.{0,30}\b(?:not|never)\b.{0,20}\bready\b"
        ),
        ("ready",),
    ),
    Symptom(
        "certificate-not-signed",
        Topic.PODS,
        ("failed to warm certificate: failed to generate workload certificate: code = Unavailable",),
        Blame.LIKELY,
        (*ISTIOD_FLOWS, FlowKind.DNS),
        "The proxy asked istiod for a certificate and did not reach it.",
        "`code = Unauthenticated` or `PermissionDenied` instead: the token or trust, not a policy.",
        words(
            r"(?:failed to (?:warm certificate|sign CSR|generate workload certificate)|failed to "
            r"sign: create "
            r"certificate|Failed to create certificate).{0,300}code = (?:Unavailable|DeadlineExceeded)"
        ),
        ("code = unavailable", "code = deadlineexceeded"),
    ),
    Symptom(
        "certificate-refused",
        Topic.PODS,
        ("failed to sign CSR: create certificate: rpc error: code = Unauthenticated",),
        Blame.NO_POLICY,
        (),
        "istiod was reached, and does not accept the pod's token.",
        "Look at the token's audience and at the trust of the clusters.",
        words(
            r"(?:certificate|sign CSR).{0,300}code = (?:Unauthenticated|PermissionDenied)"
            r"|AggregatedResources gRPC config stream.{0,80}closed.{0,40}: (?:16|7),"
        ),
        ("code = unauthenticated", "code = permissiondenied", "aggregatedresources grpc config stream"),
    ),
    Symptom(
        "stream-unavailable",
        Topic.PODS,
        ("StreamAggregatedResources gRPC config stream closed: 14,",),
        Blame.POSSIBLE,
        (*ISTIOD_FLOWS, FlowKind.DNS),
        "The proxy's stream to istiod broke.",
        "A restart of istiod looks the same for a moment. Where the line comes back, read what follows the "
        "number.",
        words(r"AggregatedResources gRPC config stream (?:to \S{1,60} )?closed(?: since \d{1,9}s ago)?: 14,"),
        ("aggregatedresources grpc config stream",),
    ),
    Symptom(
        "envoy-initialising",
        Topic.PODS,
        ("Envoy proxy is NOT ready: server is not live, current state is: INITIALIZING",),
        Blame.POSSIBLE,
        (FlowKind.DNS, FlowKind.WORKLOAD_TO_EXTERNAL),
        "The configuration has arrived, and Envoy waits for something that it names.",
        "A ServiceEntry with `resolution: DNS` holds it for up to 104 seconds where the resolver stays "
        "silent.",
        words(r"server is not live, current state is: (?:PRE_)?INITIALIZING|workers have not yet started"),
        ("server is not live", "workers have not yet started"),
    ),
    Symptom(
        "proxy-probe",
        Topic.PODS,
        (
            'Startup probe failed: Get "http://10.1.2.3:15021/healthz/ready": dial tcp 10.1.2.3:15021: '
            "connect: "
            "connection refused",
            "Readiness probe failed: HTTP probe failed with statuscode: 503",
        ),
        Blame.POSSIBLE,
        (*ISTIOD_FLOWS, FlowKind.DNS),
        "The proxy does not answer its probe: Envoy opens 15021 only with its first configuration.",
        "Probes come from the node and are not cut. A text without `:15021` may be of any container.",
        words(
            r"(?:Startup|Readiness|Liveness) probe failed: (?:Get "
            r"\"?http://\S{1,80}:1502[01]/\S{1,200}\"?: dial tcp "
            r"\S{1,80}:1502[01]: connect: connection refused|HTTP probe failed with statuscode: 503)"
        ),
        ("probe failed: ",),
    ),
    Symptom(
        "probe-no-answer",
        Topic.AMBIENT,
        ("Liveness probe failed: dial tcp 10.1.2.3:1080: i/o timeout",),
        Blame.POSSIBLE,
        (FlowKind.HBONE,),
        "The kubelet got no answer from the pod.",
        "In ambient mode probes arrive from 169.254.7.127 (fd16:9254:7127:1337:ffff:ffff:ffff:ffff), which a "
        "policy has to admit. Else the application is slow, or a plugin blocks the node.",
        words(
            r"(?:Liveness|Readiness|Startup) probe failed: .{0,400}?(?:i/o timeout|context deadline exceeded)"
        ),
        ("i/o timeout", "context deadline exceeded"),
    ),
    Symptom(
        "pod-in-init",
        Topic.PODS,
        ("cart-7d9c   0/2   Init:1/2   0   5m", "Init:1/2"),
        Blame.POSSIBLE,
        (FlowKind.PROXY_TO_ISTIOD, FlowKind.DNS),
        "A native sidecar waits for its startup probe: it got no configuration from istiod.",
        "`Init:0/2` is earlier: image, sandbox or istio-init. After ten minutes the kubelet starts the "
        "container anew.",
        words(
            rf"{_POD_ROW}0/\d{{1,3}}\s{{1,60}}Init:[1-9]\d?/\d{{1,3}}(?:\s|$)|^{_FEW_WORDS}"
            r"Init:[1-9]\d?/\d{1,3}\W{0,8}$"
            rf"|stuck in init(?:ializing)?\b(?!:)|^{_FEW_WORDS}in init(?:ializing)?\W{{0,8}}$"
        ),
        ("init:", "in init"),
    ),
    Symptom(
        "pod-without-sandbox",
        Topic.PODS,
        ("web-1   0/1   ContainerCreating   0   5m", "cart-7d9c   0/2   Init:0/2   0   5m"),
        Blame.POSSIBLE,
        (FlowKind.TO_APISERVER,),
        "Nothing of the pod runs yet.",
        "See its events: images and volumes are commoner. An event of the plugin `istio-cni` points at "
        "istio-cni-node or ztunnel.",
        words(
            rf"{_POD_ROW}0/\d{{1,3}}\s{{1,60}}(?:Init:0/\d{{1,3}}|ContainerCreating|PodInitializing)(?:\s|$)"
            rf"|^{_FEW_WORDS}(?:Init:0/\d{{1,3}}|ContainerCreating|PodInitializing)\W{{0,8}}$"
        ),
        ("init:0/", "containercreating", "podinitializing"),
    ),
    Symptom(
        "pod-not-ready",
        Topic.PODS,
        ("cart-7d9c   1/2   Running   0   5m", "istio-ingressgateway-6bf6   0/1   Running   0   5m"),
        Blame.POSSIBLE,
        (*ISTIOD_FLOWS, FlowKind.DNS),
        "A container of the pod is not ready.",
        "See which: of a pod with a sidecar it is `istio-proxy` where the log of that says NOT ready.",
        words(
            rf"{_POD_ROW}(?P<ready>\d{{1,3}})/(?!(?P=ready)\s)\d{{1,3}}\s{{1,60}}(?:Running|CrashLoopBackOff|Error)"
            r"(?:\s|$)|restarting failed container istio-proxy|^\W{0,8}CrashLoopBackOff\W{0,8}$"
        ),
        ("running", "crashloopbackoff", "error", "failed container istio-proxy"),
    ),
)
