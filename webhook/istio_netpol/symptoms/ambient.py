"""What is seen in ambient mode: in ztunnel's log, and behind its tunnels."""

from __future__ import annotations

from istio_netpol.model.flows import FlowKind
from istio_netpol.symptoms.symptom import Blame, Symptom, Topic, words

_ISTIOD = (FlowKind.PROXY_TO_ISTIOD, FlowKind.GATEWAY_TO_ISTIOD, FlowKind.DNS)

AMBIENT = (
    Symptom(
        "hbone-no-answer",
        Topic.AMBIENT,
        (
            'error="connection timed out, maybe a NetworkPolicy is blocking HBONE port 15008: deadline has '
            'elapsed"',
        ),
        Blame.LIKELY,
        (FlowKind.HBONE,),
        "ztunnel's connection to TCP 15008 of the other pod was not answered for ten seconds.",
        "A node that is down looks the same. The metric has the response flag `NETWORK_POLICY`.",
        words(r"maybe a NetworkPolicy is blocking HBONE port|response_flags=\"NETWORK_POLICY\""),
        ("blocking hbone port", "network_policy"),
    ),
    Symptom(
        "ztunnel-application",
        Topic.AMBIENT,
        ('direction="inbound" error="connection failed: Connection refused (os error 111)"',),
        Blame.NO_POLICY,
        (),
        "The request arrived at the pod, whose application does not listen.",
        "Look for the port that the application has opened.",
        words(r"direction=\"inbound\".{0,300}error=\"(?:io error|connection failed): Connection refused"),
        ('direction="inbound"',),
    ),
    Symptom(
        "ztunnel-refused",
        Topic.AMBIENT,
        ('error="io error: Connection refused (os error 111)"',),
        Blame.POSSIBLE,
        (FlowKind.HBONE, FlowKind.WORKLOAD_TO_WORKLOAD),
        "ztunnel's connection was refused.",
        "To port 15008 it is a plugin that rejects, or a node without ztunnel; to another, also an "
        "application "
        "that does not listen.",
        words(r"error=\"(?:io error|connection failed): Connection refused \(os error 111\)"),
        ("connection refused (os error 111)",),
    ),
    Symptom(
        "ztunnel-no-answer",
        Topic.AMBIENT,
        ('error="connection failed: deadline has elapsed"',),
        Blame.LIKELY,
        (FlowKind.WORKLOAD_TO_WORKLOAD, FlowKind.WORKLOAD_TO_EXTERNAL),
        "ztunnel's plain connection, to somebody outside the mesh, was not answered for ten seconds.",
        "A policy on the application's own port; 15008 plays no part.",
        words(r"\bconnection failed: deadline has elapsed"),
        ("connection failed: deadline has elapsed",),
    ),
    Symptom(
        "ztunnel-to-istiod",
        Topic.AMBIENT,
        (
            "XDS client connection error: gRPC connection error connecting to "
            'https://istiod.istio-system.svc:15012: status: Unknown, message: "client error (Connect)", '
            "source: tcp "
            "connect error: deadline has elapsed",
        ),
        Blame.LIKELY,
        _ISTIOD,
        "ztunnel does not reach istiod.",
        "`deadline has elapsed` is silence, `Connection refused` a refusal or an istiod that is down, `dns "
        "error` DNS. ztunnel is a pod like others: policies can select it.",
        words(
            r"XDS client (?:connection )?error: .{0,60}connecting to (?P<url>\S{1,300}): "
            r"|\((?P<url2>https://\S{1,300}:15012)/?\).{0,100}tcp connect error"
        ),
        ("xds client ", "tcp connect error"),
    ),
    Symptom(
        "ztunnel-certificate",
        Topic.AMBIENT,
        (
            "certificate fetch failed (signing gRPC error (Unavailable): error trying to connect) and "
            "no valid "
            "existing certificate",
        ),
        Blame.LIKELY,
        _ISTIOD,
        "ztunnel gets no certificates for pods from istiod.",
        "`Unauthenticated` or `PermissionDenied` inside the parentheses: trust, not a policy.",
        words(
            r"certificate fetch failed \((?!.{0,200}(?:Unauthenticated|PermissionDenied)).{0,400}no "
            r"valid existing "
            r"certificate"
        ),
        ("certificate fetch failed",),
    ),
)
