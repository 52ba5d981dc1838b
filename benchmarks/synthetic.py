"""A synthetic cluster under deny-all as one YAML text, the same for the same seed and size.

At full size: 1,000 namespaces, 5,000 workloads, 20,000 pods, 10,000 policies, 1,000 VirtualServices, 200
RequestAuthentications. The control plane is under deny-all too, behind policies of its own. In one of ten
namespaces no proxy reaches istiod.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

WORKLOADS_PER_NAMESPACE = 5
PODS_PER_WORKLOAD = 4
SEED = 20260101


@dataclass(frozen=True)
class Size:
    """How large a cluster is; `pods` False leaves out the running pods, as manifests in git do."""

    namespaces: int = 1000
    pods: bool = True

    @property
    def workloads(self) -> int:
        return self.namespaces * WORKLOADS_PER_NAMESPACE

    @property
    def pods_count(self) -> int:
        return self.workloads * PODS_PER_WORKLOAD if self.pods else 0


CONTROL_PLANE = """\
apiVersion: v1
kind: Namespace
metadata: {name: istio-system}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: istiod, namespace: istio-system}
spec:
  selector: {matchLabels: {istio: pilot}}
  template:
    metadata: {labels: {app: istiod, istio: pilot}}
    spec:
      serviceAccountName: istiod
      containers:
      - {name: discovery, ports: [{containerPort: 8080}, {containerPort: 15010}, {containerPort: 15017}]}
---
apiVersion: v1
kind: Service
metadata: {name: istiod, namespace: istio-system}
spec:
  selector: {app: istiod, istio: pilot}
  ports: [{name: https-dns, port: 15012}, {name: https-webhook, port: 443, targetPort: 15017}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: istio-ingressgateway, namespace: istio-system}
spec:
  selector: {matchLabels: {app: istio-ingressgateway, istio: ingressgateway}}
  template:
    metadata:
      labels: {app: istio-ingressgateway, istio: ingressgateway}
    spec:
      containers:
      - {name: istio-proxy, ports: [{containerPort: 8080}, {containerPort: 8443}, {containerPort: 15021}]}
---
apiVersion: v1
kind: Service
metadata: {name: istio-ingressgateway, namespace: istio-system}
spec:
  selector: {app: istio-ingressgateway, istio: ingressgateway}
  ports: [{name: http2, port: 80, targetPort: 8080}, {name: https, port: 443, targetPort: 8443}]
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: public, namespace: istio-system}
spec:
  selector: {istio: ingressgateway}
  servers: [{port: {number: 443, name: https, protocol: HTTPS}, hosts: ["*"]}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: coredns, namespace: kube-system}
spec:
  selector: {matchLabels: {k8s-app: kube-dns}}
  template:
    metadata: {labels: {k8s-app: kube-dns}}
    spec:
      containers:
      - name: coredns
        ports: [{containerPort: 53, name: dns, protocol: UDP}, {containerPort: 53, name: dns-tcp}]
---
apiVersion: v1
kind: Service
metadata: {name: kube-dns, namespace: kube-system}
spec:
  selector: {k8s-app: kube-dns}
  ports: [{name: dns, port: 53, protocol: UDP}, {name: dns-tcp, port: 53}]
"""

CONTROL_PLANE_POLICIES = """\
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: deny-all, namespace: istio-system}
spec: {podSelector: {}, policyTypes: [Ingress, Egress]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: allow-dns, namespace: istio-system}
spec:
  podSelector: {}
  policyTypes: [Egress]
  egress:
  - to:
    - namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: kube-system}}
      podSelector: {matchLabels: {k8s-app: kube-dns}}
    ports: [{protocol: UDP, port: 53}, {protocol: TCP, port: 53}]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: istiod, namespace: istio-system}
spec:
  podSelector: {matchLabels: {istio: pilot}}
  policyTypes: [Ingress, Egress]
  ingress:
  - from: [{namespaceSelector: {}}]
    ports: [{port: 15012}]
  - ports: [{port: 15017}]
  egress:
  - to: [{ipBlock: {cidr: 0.0.0.0/0, except: [10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, 169.254.0.0/16]}}]
    ports: [{port: 443}]
  - to: [{ipBlock: {cidr: 0.0.0.0/0}}]
    ports: [{port: 6443}]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: ingress-gateway, namespace: istio-system}
spec:
  podSelector: {matchLabels: {istio: ingressgateway}}
  policyTypes: [Ingress, Egress]
  ingress:
  - ports: [{port: 8080}, {port: 8443}]
  egress:
  - to: [{podSelector: {matchLabels: {istio: pilot}}}]
    ports: [{port: 15012}]
  - to: [{namespaceSelector: {}}]
    ports: [{port: 8080}]
"""

NAMESPACE = """\
apiVersion: v1
kind: Namespace
metadata:
  name: {ns}
  labels:
    istio-injection: enabled
    team: team-{team}
"""

DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {name}
  namespace: {ns}
  labels:
    app: {name}
spec:
  replicas: 4
  selector:
    matchLabels:
      app: {name}
  template:
    metadata:
      labels:
        app: {name}
        tier: {tier}
        version: v1
    spec:
      serviceAccountName: {name}
      containers:
      - name: main
        image: registry.example/{ns}/{name}:1.4.2
        env:
        - name: LOG_LEVEL
          value: info
        ports:
        - name: http
          containerPort: 8080
        resources:
          requests:
            cpu: 100m
            memory: 128Mi
"""

SERVICE = """\
apiVersion: v1
kind: Service
metadata:
  name: {name}
  namespace: {ns}
spec:
  selector:
    app: {name}
  ports:
  - name: http
    port: 80
    targetPort: http
"""

POD = """\
apiVersion: v1
kind: Pod
metadata:
  name: {name}-{hash}-{pod}
  namespace: {ns}
  labels:
    app: {name}
    tier: {tier}
    version: v1
    pod-template-hash: "{hash}"
    security.istio.io/tlsMode: istio
  ownerReferences:
  - apiVersion: apps/v1
    kind: ReplicaSet
    name: {name}-{hash}
    controller: true
spec:
  nodeName: node-{node}
  serviceAccountName: {name}
  containers:
  - name: main
    image: registry.example/{ns}/{name}:1.4.2
    env:
    - name: LOG_LEVEL
      value: info
    ports:
    - name: http
      containerPort: 8080
  - name: istio-proxy
    image: registry.example/proxyv2:1.32.0
    ports:
    - name: http-envoy-prom
      containerPort: 15090
status:
  phase: Running
  podIP: {ip}
  podIPs:
  - ip: {ip}
  conditions:
  - type: Ready
    status: "True"
"""

POLICY_HEAD = """\
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: {policy}
  namespace: {ns}
"""

DENY_ALL = """\
spec:
  podSelector: {}
  policyTypes:
  - Ingress
  - Egress
"""

ALLOW_DNS = """\
spec:
  podSelector: {}
  policyTypes:
  - Egress
  egress:
  - to:
    - namespaceSelector:
        matchLabels:
          kubernetes.io/metadata.name: kube-system
      podSelector:
        matchLabels:
          k8s-app: kube-dns
    ports:
    - protocol: UDP
      port: 53
    - protocol: TCP
      port: 53
"""

ALLOW_ISTIOD = """\
spec:
  podSelector: {{}}
  policyTypes:
  - Egress
  egress:
  - to:
    - namespaceSelector:
        matchLabels:
          kubernetes.io/metadata.name: istio-system
      podSelector:
        matchLabels:
          istio: pilot
    ports:
    - protocol: TCP
      port: {port}
"""

ALLOW_GATEWAY = """\
spec:
  podSelector:
    matchLabels:
      app: {name}
  policyTypes:
  - Ingress
  ingress:
  - from:
    - namespaceSelector:
        matchLabels:
          kubernetes.io/metadata.name: istio-system
      podSelector:
        matchLabels:
          istio: ingressgateway
    ports:
    - protocol: TCP
      port: 8080
"""

ALLOW_PAIR = """\
spec:
  podSelector:
    matchLabels:
      app: {name}
  policyTypes:
  - Egress
  egress:
  - to:
    - podSelector:
        matchLabels:
          app: {other}
    ports:
    - protocol: TCP
      port: 8080
"""

ALLOW_FROM = """\
spec:
  podSelector:
    matchLabels:
      app: {name}
  policyTypes:
  - Ingress
  ingress:
  - from:
    - podSelector:
        matchExpressions:
        - key: app
          operator: In
          values:
          - {other}
          - {third}
    - namespaceSelector:
        matchLabels:
          team: team-{team}
      podSelector:
        matchLabels:
          tier: front
    ports:
    - protocol: TCP
      port: http
"""

VIRTUAL_SERVICE = """\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: {name}
  namespace: {ns}
spec:
  hosts:
  - {name}.{ns}.example.com
  gateways:
  - istio-system/public
  http:
  - route:
    - destination:
        host: {name}
        port:
          number: 80
"""

REQUEST_AUTHENTICATION = """\
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata:
  name: {name}
  namespace: {ns}
spec:
  selector:
    matchLabels:
      app: {name}
  jwtRules:
  - issuer: https://login{number}.example.com
    jwksUri: https://login{number}.example.com/keys
"""

TIERS = ("front", "back", "data")


def documents(size: Size, seed: int = SEED) -> Iterator[str]:
    """The cluster as YAML documents without separators."""
    rng = random.Random(seed)
    yield from CONTROL_PLANE.split("---\n")
    yield from CONTROL_PLANE_POLICIES.split("---\n")
    for index in range(size.namespaces):
        yield from _namespace(index, size, rng)


def _namespace(index: int, size: Size, rng: random.Random) -> Iterator[str]:
    ns, team = f"app-{index:04}", index % 50
    yield NAMESPACE.format(ns=ns, team=team)
    names = [f"svc-{position}" for position in range(WORKLOADS_PER_NAMESPACE)]
    for position, name in enumerate(names):
        tier = TIERS[position % len(TIERS)]
        yield DEPLOYMENT.format(ns=ns, name=name, tier=tier)
        yield SERVICE.format(ns=ns, name=name)
        if size.pods:
            yield from _pods(index, position, ns, name, tier, rng)
    yield from _policies(index, ns, names, rng)
    yield VIRTUAL_SERVICE.format(ns=ns, name=names[0])
    if index % 5 == 0:
        yield REQUEST_AUTHENTICATION.format(ns=ns, name=names[0], number=index // 5)


def _pods(index: int, position: int, ns: str, name: str, tier: str, rng: random.Random) -> Iterator[str]:
    digest = f"{rng.getrandbits(36):09x}"
    for pod in range(PODS_PER_WORKLOAD):
        number = (index * WORKLOADS_PER_NAMESPACE + position) * PODS_PER_WORKLOAD + pod
        ip = f"10.{64 + number // 65536}.{number // 256 % 256}.{number % 256}"
        yield POD.format(ns=ns, name=name, tier=tier, hash=digest, pod=f"p{pod}", node=number % 200, ip=ip)


def istiod_port(index: int) -> int:
    """The port of istiod that a namespace allows: in one of ten the plaintext one, which no proxy uses."""
    return 15010 if index % 10 == 9 else 15012


def _policies(index: int, ns: str, names: list[str], rng: random.Random) -> Iterator[str]:
    """Ten policies a namespace."""
    yield POLICY_HEAD.format(policy="deny-all", ns=ns) + DENY_ALL
    yield POLICY_HEAD.format(policy="allow-dns", ns=ns) + ALLOW_DNS
    yield POLICY_HEAD.format(policy="allow-istiod", ns=ns) + ALLOW_ISTIOD.format(port=istiod_port(index))
    yield POLICY_HEAD.format(policy="allow-gateway", ns=ns) + ALLOW_GATEWAY.format(name=names[0])
    for number in range(3):
        name, other, third = rng.sample(names, 3)
        yield POLICY_HEAD.format(policy=f"to-{number}", ns=ns) + ALLOW_PAIR.format(name=name, other=other)
        yield POLICY_HEAD.format(policy=f"from-{number}", ns=ns) + ALLOW_FROM.format(
            name=other, other=name, third=third, team=(index + number) % 50
        )


def write(path: str, size: Size, seed: int = SEED) -> None:
    """Writes the cluster as one multi-document file."""
    with open(path, "w", encoding="utf-8") as file:
        for document in documents(size, seed):
            file.write("---\n" + document)
