"""What settings say of the API server where the input holds neither its pods nor its Service."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner, Result

from istio_netpol.cli.main import program

ISTIOD = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: istiod, namespace: istio-system}
spec:
  selector: {matchLabels: {app: istiod}}
  template:
    metadata: {labels: {app: istiod}}
    spec: {containers: [{name: discovery}]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: mine, namespace: istio-system}
spec:
  podSelector: {}
  policyTypes: [Ingress, Egress]
  ingress:
  - from: [INGRESS]
    ports: [{port: 15017}]
  egress:
  - ports: [{port: 53, protocol: UDP}, {port: 53, protocol: TCP}]
  - to: [ipBlock: {cidr: 192.0.2.10/32}]
    ports: [{port: 443}]
"""
OF_AN_ADDRESS = "ipBlock: {cidr: 192.0.2.10/32}"
OF_THE_TUNNEL = (
    "{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: kube-system}}, "
    "podSelector: {matchLabels: {app: vpn-shoot}}}"
)
SETTINGS = """\
apiVersion: istio-netpol.io/v1
kind: Settings
apiServer:
  addresses: [192.0.2.10/32]
  port: 443
"""
CALLERS = "  callers:\n  - {namespace: kube-system, podLabels: {app: vpn-shoot}}\n"


def run(folder: Path, command: str, settings: str, *options: str, ingress: str = OF_AN_ADDRESS) -> Result:
    (folder / "istiod.yaml").write_text(ISTIOD.replace("INGRESS", ingress))
    (folder / "settings").write_text(SETTINGS + settings)
    arguments = [command, str(folder / "istiod.yaml"), "--offline", "--config", str(folder / "settings")]
    return CliRunner().invoke(program, [*arguments, *options])


def test_callers_are_pods_though_the_input_lacks_them(tmp_path: Path) -> None:
    """An ipBlock does not match them, and this is no mere assumption: the operator said so."""
    assert run(tmp_path, "check", "").exit_code == 0
    found = run(tmp_path, "check", CALLERS, "--all")
    assert found.exit_code == 1
    assert "error webhook-from-apiserver" in found.stdout
    assert run(tmp_path, "check", CALLERS, ingress=OF_THE_TUNNEL).exit_code == 0


def test_what_is_generated_names_the_pods(tmp_path: Path) -> None:
    """With the labels of the settings, in the namespace of the settings."""
    policies = run(tmp_path, "generate", CALLERS).stdout
    assert "app: vpn-shoot" in policies
    assert "kubernetes.io/metadata.name: kube-system" in policies
    assert "ipBlock" not in policies


def test_a_host_that_does_not_resolve_is_told_with_its_remedies(tmp_path: Path) -> None:
    """Nothing is opened for it, and somebody has to name its addresses."""
    host = "  host: api.shoot.example.com\n"
    found = run(tmp_path, "check", host, "--all")
    assert "warning host-unresolvable" in found.stdout
    assert "api.shoot.example.com does not resolve" in found.stdout
    assert "--address api.shoot.example.com=IP" in found.stderr + found.stdout


def test_the_operators_word_on_the_host_is_taken(tmp_path: Path) -> None:
    """`hosts.knownAddresses` names its addresses, private ones too."""
    known = (
        "  host: api.shoot.example.com\nhosts:\n  knownAddresses:\n    api.shoot.example.com: [10.9.8.7]\n"
    )
    policies = run(tmp_path, "generate", known).stdout
    assert "cidr: 10.9.8.7/32" in policies


def test_a_private_address_of_the_host_is_no_refusal(tmp_path: Path) -> None:
    """An address that the settings name themselves is the operator's word."""
    policies = run(tmp_path, "generate", "  host: 10.9.8.7\n").stdout
    assert "cidr: 10.9.8.7/32" in policies


def test_an_unknown_service_is_told_with_the_setting_that_names_it(tmp_path: Path) -> None:
    """With a plugin that judges before translation, another setting helps."""
    plugin = "network: {plugin: aws-vpc-cni}\n"
    (tmp_path / "settings").write_text(SETTINGS.replace("apiServer:", f"{plugin}apiServer:"))
    (tmp_path / "istiod.yaml").write_text(
        ISTIOD.partition("  - to: [ipBlock")[0].replace("INGRESS", OF_AN_ADDRESS)
    )
    arguments = ["check", str(tmp_path / "istiod.yaml"), "--offline", "--all"]
    found = CliRunner().invoke(program, [*arguments, "--config", str(tmp_path / "settings")])
    assert "opens TCP 443 to every address: name it with the setting apiServer.serviceAddress" in found.stdout


def test_explain_names_what_is_dialled_and_why(tmp_path: Path) -> None:
    """A reader sees the address, and who told it."""
    found = run(
        tmp_path,
        "explain",
        "  host: 192.0.2.44\n  hostPort: 6443\n",
        "--workload",
        "istio-system/istiod",
    )
    assert "192.0.2.44" in found.stdout, found.output
    assert "its pods dial 192.0.2.44:6443 (setting apiServer.host)" in found.stdout
