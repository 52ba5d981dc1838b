"""What is seen where workloads, gateways and clients are cut off from each other."""

from __future__ import annotations

from istio_netpol.model.flows import FlowKind
from istio_netpol.symptoms import logged
from istio_netpol.symptoms.names import EXTERNAL_NAMES
from istio_netpol.symptoms.proxies import ADDRESS
from istio_netpol.symptoms.symptom import Blame, Symptom, Topic, words

CALLS = (FlowKind.GATEWAY_TO_WORKLOAD, FlowKind.WORKLOAD_TO_WORKLOAD, FlowKind.WORKLOAD_TO_EXTERNAL)
"""The connections that proxies make for requests."""

_CLIENTS = (FlowKind.CLIENT_TO_GATEWAY, FlowKind.WORKLOAD_TO_WORKLOAD, FlowKind.WORKLOAD_TO_EXTERNAL)

ANSWERS = (
    Symptom(
        "no-route",
        Topic.ANSWERS,
        ("404 NR route_not_found", "503 NC cluster_not_found", "BlackHoleCluster"),
        Blame.NO_POLICY,
        (),
        "No route, listener or cluster was there, so no connection was tried.",
        "Compare hosts, paths and `gateways` of the route. `BlackHoleCluster` and an empty 502: "
        "outboundTrafficPolicy REGISTRY_ONLY without a ServiceEntry.",
        words(
            r"\b(?:404 NR|503 NC|NR (?:route|filter_chain)_not_found)\b|\broute_not_found\b|cluster_not_found"
            r"|filter_chain_not_found|502 - direct_response|BlackHoleCluster|fault_filter_abort"
        ),
        ("404 nr", "503 nc", "_not_found", "direct_response", "blackholecluster", "fault_filter_abort"),
        logged.was_not_routed,
    ),
    EXTERNAL_NAMES,
    Symptom(
        "application-in-the-pod",
        Topic.ANSWERS,
        (logged.example("503", "UF", host="127.0.0.1:8080", cluster="inbound|8080||"),),
        Blame.NO_POLICY,
        (),
        "The request arrived at the pod's proxy, which did not reach the application beside it.",
        "The application does not listen on that port, or only on another address.",
        None,
        (),
        logged.failed_in_the_pod,
    ),
    Symptom(
        "tunnel-closed",
        Topic.AMBIENT,
        (logged.example("503", "UC", host="envoy://connect_originate/10.1.2.3:8080"),),
        Blame.POSSIBLE,
        (FlowKind.HBONE,),
        "The connection through HBONE was closed. Dropped packets to TCP 15008 look like this, since the "
        "proxy's own end accepts first.",
        "Ten seconds of duration speak for dropped packets; at once, the peer closed it.",
        None,
        (),
        logged.broke_in_tunnel,
    ),
    Symptom(
        "connect-refused",
        Topic.ANSWERS,
        (
            "upstream connect error or disconnect/reset before headers. retried and the latest reset reason: "
            "remote connection failure",
            "delayed_connect_error:_Connection_refused",
        ),
        Blame.POSSIBLE,
        CALLS,
        "The proxy's connection was refused, at once.",
        "A plugin that rejects, an application that does not listen, and a Service without endpoints look "
        "the same. Since Envoy 1.38.1 the answer does not tell a TLS mismatch either; the access log does.",
        words(
            r"reset reason: (?:remote |local )?connection failure|delayed[ _]connect[ _]error:?[ _](?:111"
            r"|113|Connection[ _]refused|No[ _]route)"
        ),
        ("reset reason: ", "delayed connect error", "delayed_connect_error"),
        logged.was_refused,
    ),
    Symptom(
        "connect-no-answer",
        Topic.ANSWERS,
        (
            "upstream connect error or disconnect/reset before headers. retried and the latest reset reason: "
            "connection timeout",
            "upstream connect error … connection timeout",
            "503 URX,UF upstream_reset_before_response_started{connection_timeout}",
        ),
        Blame.LIKELY,
        CALLS,
        "The proxy tried to connect and nobody answered. With Istio's defaults that takes 30 seconds: three "
        "attempts of ten.",
        "Else a node that is down, a wrong address in a ServiceEntry, a targetPort that nobody routes.",
        words(
            r"reset reason: connection timeout|upstream connect error.{0,200}connection timeout"
            r"|response_started\{connection_timeout\}|\bconnect(?:ion)? timeout\b"
        ),
        ("connection timeout", "connection_timeout", "connect timeout", "connecttimeout"),
        logged.got_no_answer,
    ),
    Symptom(
        "connect-failed",
        Topic.ANSWERS,
        ("UF", "503 UF,URX", "upstream connect error or disconnect/reset before headers"),
        Blame.POSSIBLE,
        CALLS,
        "The proxy could not connect.",
        "The whole line of the access log says how: `connection_timeout` is silence, `Connection_refused` a "
        "refusal, `TLS_error` not the network.",
        words(r"upstream connect error(?! or disconnect/reset before headers\. (?:retried|reset))"),
        ("upstream connect error",),
        logged.could_not_connect,
    ),
    Symptom(
        "timeout-unconnected",
        Topic.ANSWERS,
        (logged.example("504", "UT", "response_timeout"),),
        Blame.LIKELY,
        CALLS,
        "The route's timeout ended before there was a connection.",
        "Seen only where a route has a timeout below 30 seconds; without one it is a 503 after 30 seconds.",
        None,
        (),
        logged.ran_out_unconnected,
    ),
    Symptom(
        "timeout-connected",
        Topic.ANSWERS,
        (logged.example("504", "UT", "response_timeout", local="10.1.0.1:39786"),),
        Blame.NO_POLICY,
        (),
        "The connection was made, and the application did not answer in time.",
        "Connections that were cut after they were made look the same: a plugin that looks at every packet "
        "and a policy that is new.",
        None,
        (),
        logged.ran_out_connected,
    ),
    Symptom(
        "request-timeout",
        Topic.ANSWERS,
        ("upstream request timeout", "504 UT"),
        Blame.POSSIBLE,
        CALLS,
        "The route's timeout ended before the application answered.",
        "The access log tells: `-` as UPSTREAM_LOCAL_ADDRESS says that there never was a connection, so a "
        "policy is likely; an address says that the application is slow.",
        words(r"upstream request timeout|\b504 Gateway Time-?out\b"),
        ("upstream request timeout", "gateway time"),
        logged.flagged("UT"),
    ),
    Symptom(
        "hosts-ejected",
        Topic.ANSWERS,
        (logged.example("503", "UH", "no_healthy_upstream", failure="delayed_connect_error:_111"),),
        Blame.POSSIBLE,
        CALLS,
        "Outlier detection took the last host out after connections to it had failed.",
        "Look for the first lines: those with `UF` say how connecting failed.",
        None,
        (),
        logged.was_ejected,
    ),
    Symptom(
        "no-healthy-upstream",
        Topic.ANSWERS,
        ("no healthy upstream", "503 UH no_healthy_upstream"),
        Blame.POSSIBLE,
        (FlowKind.DNS, *CALLS),
        "The proxy knows no host that it could send the request to.",
        "Commonest is a Service or subset without ready pods. Else outlier detection after failed "
        "connections, or a ServiceEntry with `resolution: DNS` whose name was never resolved.",
        words(r"no[ _]healthy[ _]upstream"),
        ("no healthy upstream", "no_healthy_upstream"),
        logged.flagged("UH"),
    ),
    Symptom(
        "pool-full",
        Topic.ANSWERS,
        ("upstream connect error or disconnect/reset before headers. reset reason: overflow", "UO"),
        Blame.POSSIBLE,
        CALLS,
        "The connection pool is full.",
        "Where connections hang they fill it: look for `UF` beside it. Else it is load.",
        words(r"reset reason: overflow|response_started\{overflow\}"),
        ("reset reason: overflow", "{overflow}"),
        logged.flagged("UO"),
    ),
    Symptom(
        "connection-closed",
        Topic.ANSWERS,
        (
            "upstream connect error or disconnect/reset before headers. reset reason: connection termination",
            "503 UC",
        ),
        Blame.NO_POLICY,
        (),
        "There was a connection, and the other end closed it.",
        "The application closed it, plain text met a TLS port, a kept connection was just closed, or an "
        "AuthorizationPolicy for TCP refused it. With an upstream `envoy://connect_originate/` it may "
        "be HBONE.",
        words(r"reset reason: (?:connection termination|remote reset|protocol error|local reset)"),
        ("reset reason: ",),
        logged.flagged("UC", "UR", "UPE", "LR"),
    ),
    Symptom(
        "client-gave-up",
        Topic.ANSWERS,
        ("0 DC downstream_remote_disconnect",),
        Blame.POSSIBLE,
        CALLS,
        "The client closed the connection before there was an answer.",
        "UPSTREAM_LOCAL_ADDRESS `-`: the proxy was still connecting, so a policy is possible. An address: "
        "slow, or cut after the connection was made.",
        words(r"downstream_remote_disconnect"),
        ("downstream_remote_disconnect",),
        logged.flagged("DC"),
    ),
    Symptom(
        "local-limit",
        Topic.ANSWERS,
        ("408 SI", "503 OM"),
        Blame.NO_POLICY,
        (),
        "The proxy ended the request by a limit of its own: idle time, duration, headers, overload.",
        "Envoy's documentation of response flags says which.",
        None,
        (),
        logged.met_a_limit,
    ),
    Symptom(
        "answered",
        Topic.ANSWERS,
        ("503 - via_upstream",),
        Blame.WORKS,
        (),
        "The answer came from the upstream, so this connection works.",
        "Look at the log of the next pod on the way.",
        words(r"\bvia_upstream\b"),
        ("via_upstream",),
        lambda line: True,
    ),
)

CLIENTS = (
    Symptom(
        "dial-no-answer",
        Topic.CLIENTS,
        ("dial tcp 10.1.2.3:5432: i/o timeout",),
        Blame.POSSIBLE,
        (FlowKind.WORKLOAD_TO_WORKLOAD, FlowKind.WORKLOAD_TO_EXTERNAL, FlowKind.TO_APISERVER),
        "A Go program's connection was never answered. Its port says which flow that was.",
        "From an injected pod this cannot be a captured port, since its proxy accepts first.",
        words(rf"dial (?:tcp|udp) {ADDRESS}:(?P<port>\d{{1,5}}): i/o timeout|dial tcp: i/o timeout"),
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
            r"|connect(?:ion)?:? timed out|Connect(?:ion)?Timeout(?:Error|Exception)?\b|Operation timed out"
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
