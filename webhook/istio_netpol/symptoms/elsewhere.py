"""What looks like a policy and is something else. These rows come first: in one line they win over the rest.

Two rows stand before those whose words they contain: a hook that fails in the pod because its proxy was cut
off, and a certificate that nobody could renew.
"""

from __future__ import annotations

from istio_netpol.model.flows import FlowKind
from istio_netpol.symptoms import logged
from istio_netpol.symptoms.symptom import Blame, Symptom, Topic, words

ISTIOD_FLOWS = (FlowKind.PROXY_TO_ISTIOD, FlowKind.GATEWAY_TO_ISTIOD)

FETCHED_KEYS = (
    r"Failed to (?:fetch (?:jwt )?public key|get jwks URI|fetch jwks_uri|resolve Jwks|refresh JWT "
    r"public key) "
    r"from (?:jwks URI |issuer )?\\?\"?(?P<url>[^\"\\\s]{1,500})"
)

ELSEWHERE = (
    Symptom(
        "post-start-hook",
        Topic.PODS,
        ("pilot-agent wait: timeout waiting for Envoy proxy to become ready",),
        Blame.LIKELY,
        (*ISTIOD_FLOWS, FlowKind.DNS),
        "The pod waits for its proxy (`holdApplicationUntilProxyStarts`), and the proxy got no "
        "configuration.",
        "The log of `istio-proxy` says which of the flows is cut.",
        words(r"pilot-agent wait.{0,200}timeout waiting for Envoy proxy to become ready"),
        ("pilot-agent wait",),
    ),
    Symptom(
        "inside-the-pod",
        Topic.PODS,
        (
            "failed scraping envoy metrics",
            'Get "http://localhost:15020/healthz/ready": dial tcp 127.0.0.1:15020: connect: connection '
            "refused",
        ),
        Blame.NO_POLICY,
        (),
        "One container of the pod talks to another over its own loopback, which no policy governs.",
        "Usually Envoy is not up yet: look for what keeps the proxy from its configuration.",
        words(
            r"failed scraping (?:envoy|application) metrics"
            r"|https?://(?:localhost|127\.0\.0\.1|\[::1\]):(?:15000|15004|15020|15021|15090)\b"
            r"|dial tcp (?:127\.0\.0\.1|\[::1\]):"
        ),
        (
            "failed scraping",
            *("//localhost:15", "//127.0.0.1:15", "//[::1]:15", "dial tcp 127.0.0.1:", "dial tcp [::1]:"),
        ),
    ),
    Symptom(
        "authorizer-unknown",
        Topic.TOKENS,
        ("rbac_access_denied_matched_policy[default-deny-all-due-to-bad-CUSTOM-action]",),
        Blame.NO_POLICY,
        (),
        "An AuthorizationPolicy with action CUSTOM names an extension provider that the mesh config lacks.",
        "Correct `provider.name`, or add the provider to `extensionProviders`.",
        words(r"(?:default-deny-all|deny)-due-to-bad-CUSTOM-action"),
        ("due-to-bad-custom",),
        logged.says("due-to-bad-custom"),
    ),
    Symptom(
        "authorization-denied",
        Topic.TOKENS,
        ("RBAC: access denied", "rbac_access_denied_matched_policy[none]"),
        Blame.NO_POLICY,
        (),
        "An AuthorizationPolicy refuses the request. Packets arrive, so no NetworkPolicy is the cause.",
        "`none` says that no ALLOW rule matched. A WasmPlugin that its pod could not fetch refuses all with "
        "the same words: then `istio-proxy` logs `error in converting the wasm config`.",
        words(r"RBAC: access denied|rbac_access_denied_matched_policy\[(?P<policy>[^\s\"]{0,300}\]?)"),
        ("rbac: access denied", "rbac_access_denied"),
        logged.says("rbac_access_denied"),
    ),
    Symptom(
        "token-rejected",
        Topic.TOKENS,
        ("Jwt is expired", "Jwt issuer is not configured", "Audiences in Jwt are not allowed"),
        Blame.NO_POLICY,
        (),
        "The token itself is refused. Keys play no part in that, so nothing had to be fetched.",
        "Compare the token's issuer, audience and times with the RequestAuthentication.",
        words(
            r"Jwt[ _](?:issuer[ _]is[ _]not[ _]configured|is[ _]expired|is[ _]missing"
            r"|is[ _]not[ _]in[ _]the[ _]form|not[ _]yet[ _]valid)|Audiences[ _]in[ _]Jwt[ _]are[ "
            r"_]not[ _]allowed"
        ),
        ("jwt issuer", "jwt_issuer", "jwt is ", "jwt_is_", "jwt not yet", "jwt_not_yet", "audiences"),
        lambda line: "jwt_authn" in line.reason and not logged.concerns_keys(line),
    ),
    Symptom(
        "authorizer-said-no",
        Topic.TOKENS,
        ("403 UAEX ext_authz_denied",),
        Blame.NO_POLICY,
        (),
        "The external authorizer was reached, and its answer is no.",
        "Ask the authorizer's own log.",
        words(r"ext_authz_denied"),
        ("ext_authz_denied",),
        lambda line: "UAEX" in line.flags and bool(line.details) and "ext_authz_error" not in line.details,
    ),
    Symptom(
        "ztunnel-authorization",
        Topic.AMBIENT,
        ("connection closed due to policy rejection: allow policies exist, but none allowed",),
        Blame.NO_POLICY,
        (),
        "ztunnel closed the connection because of an AuthorizationPolicy (response flag `DENY`).",
        "`explicitly denied by` names a DENY policy; otherwise no ALLOW policy has this client.",
        words(
            r"connection closed due to policy (?:rejection(?:: explicitly denied by: "
            r"(?P<policy>[^\s\"]{1,300}))?"
            r"|change)"
        ),
        ("connection closed due to policy",),
    ),
    Symptom(
        "keys-answered",
        Topic.TOKENS,
        ('Failed to fetch public key from jwks URI "https://idp.example.com/jwks": status 404',),
        Blame.NO_POLICY,
        (),
        "istiod reached the provider of keys, or was told by its own settings not to.",
        "A status, `no such host`, `x509` or `blocked CIDR` says what is wrong with the URL.",
        words(
            FETCHED_KEYS.replace("(?P<url>", "(?:")
            + r".{0,300}(?:status(?: code)?:? [45]\d\d|no such host|x509: |is not a valid JWKS"
            r"|connection blocked: resolved IP)"
        ),
        ("failed to ",),
    ),
    Symptom(
        "webhook-without-pods",
        Topic.API_SERVER,
        (
            'failed calling webhook "x": no endpoints available for service "istiod"',
            'failed calling webhook "x": service "istiod" not found',
        ),
        Blame.NO_POLICY,
        (),
        "The webhook's Service is missing, has no ready pods, or shows a certificate that its caBundle does "
        "not trust.",
        "`kubectl get endpointslice` shows whether there are pods.",
        words(
            r"failed calling (?:admission )?webhook.{0,600}"
            r"(?:service \"[^\"]{1,253}\" not found|no endpoints available for service|x509: )"
        ),
        ('" not found', "no endpoints available", "x509: "),
    ),
    Symptom(
        "certificate-expired",
        Topic.ANSWERS,
        ("CERTIFICATE_VERIFY_FAILED: certificate has expired",),
        Blame.POSSIBLE,
        ISTIOD_FLOWS,
        "A certificate of the mesh was not renewed. They live for 24 hours and are renewed at half of that.",
        "Where TCP 15012 was cut for a day, pods that ran before show this. Else look at clocks and at the "
        "root certificate.",
        words(r"certificate[_ ]has[_ ]expired"),
        ("has expired", "has_expired"),
        logged.says("certificate_has_expired"),
    ),
    Symptom(
        "tls-mismatch",
        Topic.ANSWERS,
        (
            "TLS_error: WRONG_VERSION_NUMBER",
            "CERTIFICATE_VERIFY_FAILED",
            "x509: certificate signed by unknown authority",
        ),
        Blame.NO_POLICY,
        (),
        "The TCP connection was made; the two ends do not agree on TLS.",
        "Compare PeerAuthentication and DestinationRule: mTLS mode, authority, SNI. Since Envoy 1.38.1 the "
        "answer itself no longer says so, only the access log does.",
        words(
            r"TLS[ _]error:?|WRONG_VERSION_NUMBER|CERTIFICATE_VERIFY_FAILED|ALERT_HANDSHAKE_FAILURE"
            r"|SSL_ERROR_SYSCALL|SSL certificate problem|x509: |tls: (?:failed|handshake|unknown|bad|no)"
        ),
        (
            *("tls error", "tls_error", "wrong_version_number", "certificate_verify_failed", "x509: "),
            *("alert_handshake_failure", "ssl_error_syscall", "ssl certificate problem", "tls: "),
        ),
        logged.says("tls_error"),
    ),
    Symptom(
        "configuration-rejected",
        Topic.PODS,
        ("Envoy proxy is NOT ready: config received from XDS server, but was rejected",),
        Blame.NO_POLICY,
        (),
        "istiod was reached, and Envoy refuses the configuration that it sent.",
        "`istioctl analyze` and the log of `istio-proxy` name the resource; EnvoyFilters come first.",
        words(r"config received from XDS server, but was rejected"),
        ("but was rejected",),
    ),
    Symptom(
        "stream-renewed",
        Topic.PODS,
        (
            "StreamAggregatedResources gRPC config stream closed: 13,",
            "DeltaAggregatedResources gRPC config stream to xds-grpc closed: 0,",
        ),
        Blame.NO_POLICY,
        (),
        "istiod ends every stream after half an hour, and when it restarts; proxies connect again.",
        "Harmless where a line about the new connection follows.",
        words(
            r"(?:Stream|Delta)AggregatedResources gRPC config stream (?:to \S{1,60} )?closed(?: "
            r"since \d{1,9}s ago)?: "
            r"(?:13,|0,|14, .{0,300}received prior goaway: code: NO_ERROR|14, transport is closing)"
        ),
        ("aggregatedresources grpc config stream",),
    ),
    Symptom(
        "root-certificate-missing",
        Topic.PODS,
        ('MountVolume.SetUp failed for volume "istiod-ca-cert": configmap "istio-ca-root-cert" not found',),
        Blame.POSSIBLE,
        (FlowKind.TO_APISERVER,),
        "istiod has not written its root certificate into the pod's namespace, which it does through the API "
        "server.",
        "istiod may be down, or not look at that namespace (`discoverySelectors`).",
        words(r"configmap \"istio-ca-root-cert\" not found|istio-ca-root-cert.{0,80}not found"),
        ("istio-ca-root-cert",),
    ),
    Symptom(
        "probe-answered",
        Topic.PODS,
        (
            'Readiness probe failed: Get "http://10.1.2.3:8080/ready": dial tcp 10.1.2.3:8080: connect: '
            "connection "
            "refused",
            "Liveness probe failed: HTTP probe failed with statuscode: 500",
        ),
        Blame.NO_POLICY,
        (),
        "The kubelet's probe reached the pod, and the application refused it. Probes come from the node.",
        "The application is not up yet, or is not well; its own log says why. It may wait for a connection "
        "that is cut.",
        words(
            r"probe failed: Get \"?\S{1,260}:(?!1502[01]\b)\d{1,5}[^\s\"]{0,300}\"?: dial tcp "
            r"\S{1,80}: connect: "
            r"connection refused|probe failed: HTTP probe failed with statuscode: (?!503)\d"
        ),
        ("probe failed: ",),
    ),
    Symptom(
        "kubelet-not-reached",
        Topic.API_SERVER,
        ("error dialing backend: dial tcp 10.0.0.1:10250: i/o timeout",),
        Blame.NO_POLICY,
        (),
        "The API server calls the kubelet of a node, for logs and exec. No NetworkPolicy governs nodes.",
        "Look at firewalls between the API server and the nodes.",
        words(r"dial tcp \S{1,80}:10250: "),
        (":10250: ",),
    ),
    Symptom(
        "permission-missing",
        Topic.API_SERVER,
        ('pods is forbidden: User "system:serviceaccount:shop:cart" cannot list resource "pods"',),
        Blame.NO_POLICY,
        (),
        "The API server was reached, and the account may not do that.",
        "Look at Roles and RoleBindings of Kubernetes.",
        words(r"\bis forbidden: User \"?\S{1,260} cannot "),
        ("is forbidden: user",),
    ),
    Symptom(
        "network-unreachable",
        Topic.CLIENTS,
        ("connect: network is unreachable",),
        Blame.NO_POLICY,
        (),
        "The node has no route there: no packet was sent. Policies drop or reject packets.",
        "Commonest is an IPv6 address on a node without IPv6.",
        words(r"\bnetwork is unreachable\b|\bENETUNREACH\b"),
        ("network is unreachable", "enetunreach"),
    ),
    Symptom(
        "waypoint-missing",
        Topic.AMBIENT,
        ("unknown waypoint",),
        Blame.NO_POLICY,
        (),
        "ztunnel does not know the waypoint that the Service or the namespace names.",
        "The label `istio.io/use-waypoint` names a Gateway that is not there, or that istiod has not "
        "deployed.",
        words(r"\bunknown waypoint\b"),
        ("unknown waypoint",),
    ),
    Symptom(
        "pod-not-placed",
        Topic.PODS,
        ("ImagePullBackOff", "0/3 nodes are available: 3 Insufficient cpu."),
        Blame.NO_POLICY,
        (),
        "The scheduler places pods and the node pulls images: no NetworkPolicy governs either.",
        "The pod's events say what is missing.",
        words(
            r"\b(?:ErrImagePull|ImagePullBackOff|InvalidImageName|OOMKilled|FailedScheduling|FailedMount)\b"
            r"|\b\d{1,5}/\d{1,5} nodes are available|Failed to pull image"
        ),
        (
            *("errimagepull", "imagepullbackoff", "invalidimagename", "oomkilled", "failedscheduling"),
            *("failedmount", "nodes are available", "failed to pull image"),
        ),
    ),
    Symptom(
        "name-does-not-exist",
        Topic.NAMES,
        (
            "lookup kart.shop.svc.cluster.local on 10.96.0.10:53: no such host",
            "Name or service not known",
            "NXDOMAIN",
        ),
        Blame.NO_POLICY,
        (),
        "DNS was reached and answered that there is no such name.",
        "Look for a wrong name or search path, or a CoreDNS that cannot reach its own upstream for names "
        "outside. After ten seconds of silence ztunnel has been seen to print this too.",
        words(
            r"lookup (?P<host>[^\s:]{1,253})(?: on \S{1,60})?: no such host|\bno such host\b"
            r"|Name or service not known|\bNXDOMAIN\b|\bENOTFOUND\b(?: (?P<host2>[^\s:]{1,253}))?"
        ),
        ("no such host", "name or service not known", "nxdomain", "enotfound"),
    ),
)
