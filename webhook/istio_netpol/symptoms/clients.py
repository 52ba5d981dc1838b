"""What clients print that got no answer."""

from __future__ import annotations

from istio_netpol.model.flows import FlowKind
from istio_netpol.symptoms.proxies import ADDRESS
from istio_netpol.symptoms.symptom import Blame, Symptom, Topic, words

_CLIENTS = (FlowKind.CLIENT_TO_GATEWAY, FlowKind.WORKLOAD_TO_WORKLOAD, FlowKind.WORKLOAD_TO_EXTERNAL)

CLIENTS = (
    Symptom(
        "dial-no-answer",
        Topic.CLIENTS,
        ("dial tcp 10.1.2.3:5432: i/o timeout",),
        Blame.POSSIBLE,
        (FlowKind.WORKLOAD_TO_WORKLOAD, FlowKind.WORKLOAD_TO_EXTERNAL, FlowKind.TO_APISERVER),
        "A Go program's connection was never answered. Its port says which flow that was.",
        "From an injected pod this cannot be a captured port, since its proxy accepts first.",
        words(
            rf"dial (?:tcp|udp) {ADDRESS}:(?P<port>\d{{1,5}}): (?:i/o timeout"
            r"|connect: connection timed out)|dial tcp: i/o timeout"
        ),
        ("dial tcp", "dial udp"),
    ),
    Symptom(
        "dial-refused",
        Topic.CLIENTS,
        ("dial tcp 10.1.2.3:5432: connect: connection refused",),
        Blame.POSSIBLE,
        (FlowKind.WORKLOAD_TO_WORKLOAD, FlowKind.WORKLOAD_TO_EXTERNAL, FlowKind.TO_APISERVER),
        "A Go program's connection was refused.",
        "A plugin that rejects, or nobody listens.",
        words(rf"dial tcp {ADDRESS}:(?P<port>\d{{1,5}}): connect: (?:connection refused|no route to host)"),
        ("dial tcp",),
    ),
    Symptom(
        "dropped-by-plugin",
        Topic.CLIENTS,
        ("shop/cart-7d9c:51234 <> shop/db-0:5432 Policy denied DROPPED (TCP Flags: SYN)",),
        Blame.LIKELY,
        _CLIENTS,
        "The network plugin says itself that a policy denied the packet.",
        "Where NetworkPolicies allow it, a policy of the plugin's own kinds denies it.",
        words(
            r"(?:(?P<namespace>[a-z0-9-]{1,63})/(?P<pod>[a-z0-9.-]{1,253}):\d{1,5}.{0,40}(?:<>|->) "
            r"\S{1,260}.{0,40})?Policy denied"
        ),
        ("policy denied",),
    ),
    Symptom(
        "connect-timed-out",
        Topic.CLIENTS,
        (
            "curl: (28) Failed to connect to shop.example.com port 443 after 130000 ms: Connection timed out",
            "connect ETIMEDOUT 203.0.113.9:443",
        ),
        Blame.LIKELY,
        _CLIENTS,
        "The client's connection was never answered.",
        "From outside it is the way to the gateway: also load balancer and firewall. An injected pod does "
        "not print this for a captured port, since its proxy accepts first: it has no sidecar, or excludes "
        "the port.",
        words(
            r"curl: \(28\) (?:Connection timed? ?out|Connection timeout|Failed to connect to "
            r"(?P<host>\S{1,253}) port "
            r"(?P<port>\d{1,5}).{0,80})|ETIMEDOUT(?: (?P<address>[0-9a-f.:]{2,45}):(?P<port2>\d{1,5}))?"
            r"|connect(?:ion)?:? timed out|Connect(?:ion)?Timeout(?:Error|Exception)?\b|\(tcp\) timed out"
            r"|(?:Errno|os error) 110|did not properly respond after a period of time|download timed out"
        ),
        (
            *("curl: (28)", "etimedout", "timed out", "connecttimeout", "connectiontimeout", "errno 110"),
            *("os error 110", "did not properly respond"),
        ),
    ),
    Symptom(
        "connect-denied",
        Topic.CLIENTS,
        (
            "curl: (7) Failed to connect to 10.1.2.3 port 8080 after 0 ms: Couldn't connect to server",
            "connect ECONNREFUSED 10.1.2.3:8080",
        ),
        Blame.POSSIBLE,
        (FlowKind.CLIENT_TO_GATEWAY, FlowKind.WORKLOAD_TO_WORKLOAD, FlowKind.GATEWAY_TO_ISTIOD),
        "The client's connection was refused.",
        "A plugin that rejects, an application that does not listen, or a gateway that never got its "
        "configuration from istiod and so opens no port. An init container of an injected pod meets this "
        "too, before the proxy runs.",
        words(
            r"curl: \(7\) Failed to connect to (?P<host>\S{1,253}) port (?P<port>\d{1,5})"
            r"|ECONNREFUSED(?: (?P<address>[0-9a-f.:]{2,45}):(?P<port2>\d{1,5}))?"
            r"|\bconnection refused\b|(?:Errno|os error) 111|\bNo route to host\b"
        ),
        ("curl: (7)", "econnrefused", "connection refused", "errno 111", "os error 111", "no route to host"),
    ),
    Symptom(
        "accepted-without-answer",
        Topic.CLIENTS,
        (
            "curl: (28) Operation timed out after 5000 milliseconds with 0 bytes received",
            "net/http: TLS handshake timeout",
            "Read timed out.",
        ),
        Blame.POSSIBLE,
        (FlowKind.WORKLOAD_TO_WORKLOAD, FlowKind.WORKLOAD_TO_EXTERNAL, FlowKind.HBONE),
        "The connection was made, and no answer came in time. A sidecar and ztunnel accept before they reach "
        "anybody.",
        "The proxy's own log says whether it reached the other end. Without a proxy the application is "
        "slow, or "
        "large packets are lost (MTU).",
        words(
            r"Operation timed out|TLS handshake timeout|\bread timed out\b|ReadTimeout(?:Error|Exception)?\b"
        ),
        ("operation timed out", "tls handshake timeout", "read timed out", "readtimeout"),
    ),
    Symptom(
        "connection-reset",
        Topic.CLIENTS,
        (
            "curl: (56) Recv failure: Connection reset by peer",
            "curl: (52) Empty reply from server",
            "Error: socket hang up",
        ),
        Blame.POSSIBLE,
        (FlowKind.WORKLOAD_TO_WORKLOAD, FlowKind.WORKLOAD_TO_EXTERNAL, FlowKind.HBONE),
        "The connection was accepted and then closed. A sidecar and ztunnel accept before they reach "
        "anybody.",
        "After ten seconds: dropped packets behind the proxy. At once: a refusal, TLS or an "
        "AuthorizationPolicy. The proxy's own log says which.",
        words(
            r"curl: \((?:52|56)\)|Connection reset by peer|\bECONNRESET\b|socket hang up|Empty "
            r"reply from server"
            r"|server closed the connection unexpectedly"
        ),
        (
            "curl: (52)",
            "curl: (56)",
            "connection reset by peer",
            "econnreset",
            "socket hang up",
            "empty reply from server",
            "server closed the connection",
        ),
    ),
    Symptom(
        "deadline",
        Topic.CLIENTS,
        ("context deadline exceeded",),
        Blame.POSSIBLE,
        (
            *(FlowKind.WEBHOOK_FROM_APISERVER, FlowKind.ISTIOD_TO_JWKS, FlowKind.TO_APISERVER),
            *(FlowKind.WORKLOAD_TO_WORKLOAD, FlowKind.WORKLOAD_TO_EXTERNAL),
        ),
        "A Go program waited for an answer for as long as it may.",
        "What stands before it says whom it called: a webhook, keys, the API server. A slow answer reads the "
        "same.",
        words(r"context deadline exceeded|DEADLINE_EXCEEDED|Client\.Timeout exceeded|\bi/o timeout\b"),
        ("deadline exceeded", "deadline_exceeded", "client.timeout exceeded", "i/o timeout"),
    ),
)
