"""What proxies answer and log where they do not reach whom they call."""

from __future__ import annotations

from istio_netpol.model.flows import FlowKind
from istio_netpol.symptoms import logged
from istio_netpol.symptoms.names import EXTERNAL_NAMES
from istio_netpol.symptoms.symptom import Blame, Symptom, Topic, words

CALLS = (FlowKind.GATEWAY_TO_WORKLOAD, FlowKind.WORKLOAD_TO_WORKLOAD, FlowKind.WORKLOAD_TO_EXTERNAL)
"""The connections that proxies make for requests."""

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
            r"reset reason: (?:remote |local )?connection failure|response_started\{(?:remote_"
            r"|local_)?connection_failure"
            r"|delayed[ _]connect[ _]error:?[ _](?:111"
            r"|113|Connection[ _]refused|No[ _]route)"
        ),
        ("reset reason: ", "connection_failure", "delayed connect error", "delayed_connect_error"),
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
            r"|response_started\{connection_timeout\}|\bconnect(?:ion)? timeout\b(?!=)"
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
        "answer-without-reason",
        Topic.ANSWERS,
        ("503 Service Unavailable", "HTTP/2 503", "HTTP/1.1 504"),
        Blame.POSSIBLE,
        CALLS,
        "A proxy or the application answered with an error, and nothing here says why.",
        "The body and the header `server` say more (`curl -v`), and the line of the access log all.",
        words(
            r"^(?:< )?HTTP/[\d.]{1,3} 50[34](?: |$)|^\W{0,8}(?:50[34]|503 Service Unavailable|504 "
            r"Gateway Time-?out)"
            r"\W{0,8}$"
        ),
        ("503", "504"),
        is_vague=True,
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
        words(r"upstream request timeout"),
        ("upstream request timeout",),
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
        words(
            r"(?:reset reason: |response_started\{)(?:connection[ _]termination|remote[ _]reset"
            r"|protocol[ _]error"
            r"|local[ _]reset)"
        ),
        ("reset reason: ", "response_started{"),
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
