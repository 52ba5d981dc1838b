"""What the shared mesh offers to tests."""

from __future__ import annotations

from pathlib import Path

from tests.mesh import manifests, topology
from tests.mesh.mesh import Mesh
from tests.mesh.traffic import Inside, get, look_up


def test_names_of_services_and_of_the_outside_are_resolved(mesh: Mesh) -> None:
    namespace = mesh.namespace({})
    mesh.apply(*manifests.client(namespace))
    mesh.wait_until("the client runs", lambda: mesh.ready(namespace, "client"))
    source = Inside(namespace, "client")
    for over in ("udp", "tcp"):
        found = look_up(mesh, source, "kubernetes.default.svc.cluster.local", over)
        assert found.addresses == (topology.KUBERNETES_SERVICE,)
    assert look_up(mesh, source, "api.example.test").addresses == (topology.OUTSIDE_API,)
    assert look_up(mesh, source, "unknown.example.test").addresses == ()


def test_a_restart_gives_new_pods_and_a_namespace_goes_with_what_is_in_it(mesh: Mesh) -> None:
    namespace = mesh.namespace({})
    mesh.apply(*manifests.echo(namespace), *manifests.client(namespace))
    mesh.wait_until("both run", lambda: mesh.ready(namespace, "echo") and mesh.ready(namespace, "client"))
    (before,) = mesh.pods(namespace, "app=echo")
    mesh.restart(namespace, "echo")
    (after,) = mesh.pods(namespace, "app=echo")
    assert before["metadata"]["uid"] != after["metadata"]["uid"]
    mesh.wait_until("the new one is ready", lambda: mesh.ready(namespace, "echo"))
    source, url = Inside(namespace, "client"), f"http://echo.{namespace}/"
    mesh.wait_until("its Service leads to it", lambda: get(mesh, source, url).status == 200)
    mesh.remove_namespaces(namespace)
    mesh.wait_until("the pods are gone", lambda: not mesh.pods(namespace, "app"))
    network = topology.pod_network(namespace, after["metadata"]["name"])
    mesh.wait_until("so is their network", lambda: network not in mesh.sandbox.run("ip", "netns").stdout)


def test_policies_count_as_soon_as_the_mesh_has_settled(mesh: Mesh) -> None:
    namespace = mesh.namespace({})
    mesh.apply(*manifests.echo(namespace), *manifests.client(namespace))
    mesh.wait_until("both run", lambda: mesh.ready(namespace, "echo") and mesh.ready(namespace, "client"))
    (echo,) = mesh.pods(namespace, "app=echo")
    url, source = f"http://{echo['status']['podIP']}:{manifests.HTTP}/", Inside(namespace, "client")
    mesh.settled()
    assert get(mesh, source, url).status == 200
    mesh.deny_all(namespace)
    mesh.settled()
    refused = get(mesh, source, url)
    assert refused.status is None
    assert "Couldn't connect to server" in refused.failure
    mesh.delete(manifests.deny_all(namespace))
    mesh.settled()
    assert get(mesh, source, url).status == 200


def test_nothing_is_written_to_the_hosts_etc(mesh: Mesh) -> None:
    networks = mesh.sandbox.run("ls", "/etc/netns").stdout.split()
    assert networks
    assert not [network for network in networks if Path("/etc/netns", network).exists()]
