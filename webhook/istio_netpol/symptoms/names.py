"""What is seen where names do not resolve."""

from __future__ import annotations

from istio_netpol.model.flows import FlowKind
from istio_netpol.symptoms.symptom import Blame, Symptom, Topic, words

NAMES = (
    Symptom(
        "dns-no-answer",
        Topic.NAMES,
        (
            "lookup istiod.istio-system.svc: i/o timeout",
            "Temporary failure in name resolution",
            "curl: (28) Resolving timed out after 5000 milliseconds",
            "getaddrinfo EAI_AGAIN cart.shop.svc.cluster.local",
        ),
        Blame.LIKELY,
        (FlowKind.DNS,),
        "No DNS server answered.",
        "Look at the egress of the pod to the DNS pods, at their own port (53, 8053, 5353, 1053) or to the "
        "node-local address. CoreDNS may be down; where only names outside fail, its own egress is cut.",
        words(
            r"lookup (?P<host>[^\s:]{1,253})(?: on \S{1,60})?: (?:read udp \S{1,120}: )?i/o timeout"
            r"|Temporary failure (?:in name resolution|resolving)|\bEAI_AGAIN\b(?: (?P<host2>[^\s:]{1,253}))?"
            r"|Resolving timed out after|communications error to \S{1,80}: timed out"
            r"|connection timed out; no servers could be reached"
        ),
        (
            "lookup ",
            "temporary failure ",
            "eai_again",
            "resolving timed out",
            "communications error",
            "no servers could be reached",
        ),
    ),
    Symptom(
        "dns-refused",
        Topic.NAMES,
        (
            "lookup istiod.istio-system.svc on 10.96.0.10:53: read udp 10.1.2.3:35390->10.96.0.10:53: read: "
            "connection refused",
        ),
        Blame.POSSIBLE,
        (FlowKind.DNS,),
        "The question to the DNS server was refused.",
        "A plugin that rejects, or a DNS Service without ready pods.",
        words(
            r"lookup (?P<host>[^\s:]{1,253}) on \S{1,60}: (?:read|dial) udp \S{1,120}: (?:read|connect): "
            r"(?:connection refused|no route to host)"
        ),
        ("lookup ",),
    ),
    Symptom(
        "dns-failed-upstream",
        Topic.NAMES,
        ("lookup api.example.com on 10.96.0.10:53: server misbehaving",),
        Blame.POSSIBLE,
        (FlowKind.DNS,),
        "DNS answered that it failed (SERVFAIL or REFUSED).",
        "Look at the egress of CoreDNS to its own upstream, not at the pod's. Cilium's DNS rules answer "
        "REFUSED.",
        words(
            r"lookup (?P<host>[^\s:]{1,253})(?: on \S{1,60})?: server misbehaving|\bSERVFAIL\b"
            r"|plugin/errors: \d{1,4} \S{1,260} .{0,200}i/o timeout"
        ),
        ("server misbehaving", "servfail", "plugin/errors: "),
    ),
    Symptom(
        "name-not-resolved",
        Topic.NAMES,
        ("curl: (6) Could not resolve host: cart.shop", "wget: bad address 'cart.shop'"),
        Blame.POSSIBLE,
        (FlowKind.DNS,),
        "The name was not resolved.",
        "The program prints the same for an answer and for silence. At once: the name is wrong. After 5 "
        "to 30 "
        "seconds: DNS was not reached.",
        words(
            r"Could not resolve host: (?P<host>[^\s:]{1,253})|getaddrinfo failed|bad address '"
            r"|can't resolve '"
            r"|UnknownHostException(?:: (?P<host2>[^\s:]{1,253}))?|dns error: failed to lookup"
        ),
        (
            "could not resolve host",
            "getaddrinfo failed",
            "bad address '",
            "can't resolve '",
            "unknownhostexception",
            "dns error: failed to lookup",
        ),
    ),
)

EXTERNAL_NAMES = Symptom(
    "dynamic-name-not-resolved",
    Topic.NAMES,
    ("503 UH dns_resolution_failure{resolve_timeout}", "DNS resolution failure"),
    Blame.LIKELY,
    (FlowKind.DNS,),
    "The proxy resolves the host of the request itself, and got no answer.",
    "A name that does not exist reads the same in older releases.",
    words(r"dns_resolution_failure|DNS resolution failure"),
    ("dns_resolution_failure", "dns resolution failure"),
    lambda line: "DF" in line.flags or "dns_resolution_failure" in line.reason,
)
"""Beside the rows of access logs, where its place among the flags matters."""
