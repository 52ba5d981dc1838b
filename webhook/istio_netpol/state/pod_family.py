"""The classes of the pods that share a root, kept up to date as pods come and go.

Pods of a controller that say the same of all that rules and policies read are one class. The first, those
like the template, carries the controller's name, and the controller owns the others. A controller's template
is a class of its own unless running pods already carry what it says.

One more pod, or one less, costs the same in a family of ten and of ten thousand: only its own class is told
anew, from counts of what its pods have.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from typing import NamedTuple

from msgspec import Struct, field
from msgspec.structs import replace

from istio_netpol.model.control_plane import REVISION_LABEL
from istio_netpol.model.references import ObjectRef
from istio_netpol.model.workloads import Owner, Workload
from istio_netpol.state.contents import is_unchanged
from istio_netpol.state.persistent_map import EMPTY, PersistentMap
from istio_netpol.state.pod_classes import INSTANCE_LABELS, Key, Members
from istio_netpol.state.pod_group import TEMPLATE, Likeness, PodGroup, likeness_of
from istio_netpol.state.tally import NOTHING_COUNTED, Tally, spliced


class Rank(NamedTuple):
    """Where a class stands among those of its family: the first of them has the controller's name."""

    is_unlike_template: bool
    name: str
    is_of_pods: bool
    likeness: Likeness


class Rooted(NamedTuple):
    """A member of a family with the root that it has."""

    member: Workload
    root: ObjectRef

    @property
    def key(self) -> Key:
        """The kind and name of the member."""
        return (self.member.ref.kind, self.member.ref.name)

    @property
    def is_pod(self) -> bool:
        """Whether it is a pod, not one that makes pods."""
        return self.member.ref.kind == "Pod"


RootPlace = tuple[str, str, int]
"""What members may say differently of a root that nobody read: API version, file and line."""


class PodFamily(Struct, eq=False, gc=False):
    """The pods that share a root, by likeness. `others` are the members that are not pods; the pods that
    `template` stands for are a class where no running ones carry what it says, which `carriers` counts. Not
    changed once `of` or `after` has made it."""

    root: ObjectRef
    controller: Workload | None
    template: Workload | None
    others: tuple[Key, ...]
    ignored: frozenset[str]
    roots: Tally[RootPlace] = NOTHING_COUNTED
    groups: PersistentMap[Likeness, PodGroup] = field(default_factory=lambda: EMPTY)
    pods: int = 0
    carriers: int = 0
    ranks: tuple[Rank, ...] = ()
    by_likeness: PersistentMap[Likeness, Workload] = field(default_factory=lambda: EMPTY)

    @classmethod
    def of(
        cls,
        key: Key,
        rooted: Mapping[Key, ObjectRef],
        members: Members,
        ignored: frozenset[str],
        earlier: PodFamily | None = None,
    ) -> PodFamily:
        """The family of these members, each with its root. Classes that say what they said in an `earlier`
        one stay the objects that they were."""
        controller = members.get(key) if key[0] != "Pod" else None
        others = tuple(sorted(member for member in rooted if member[0] != "Pod"))
        # A controller that a known one owns is told by the latter's template.
        templates = others if controller is None else tuple(other for other in others if other == key)
        template = members[templates[0]] if templates else None
        places = [
            _place(root) for member, root in rooted.items() if member[0] == "Pod" or member in templates
        ]
        root = controller.ref if controller else next(iter(rooted.values()))
        family = cls(root, controller, template, others, ignored, Tally.of(places))
        return family._filled([members[key] for key in rooted if key[0] == "Pod"], earlier)

    def _filled(self, pods: Sequence[Workload], earlier: PodFamily | None) -> PodFamily:
        """The family, which has none yet, with these pods."""
        alike: dict[Likeness, list[Workload]] = {}
        for pod in pods:
            alike.setdefault(likeness_of(pod, self.ignored), []).append(pod)
        groups = {likeness: PodGroup.of(found, self._carries(found[0])) for likeness, found in alike.items()}
        carriers = _carrying(groups)
        made = replace(
            self,
            root=self._named(self.roots),
            groups=PersistentMap(groups),
            pods=len(pods),
            carriers=carriers,
            ranks=self._ranks_after({}, groups, carriers, self.template),
        )
        told = {rank.likeness: made._told(rank.likeness, earlier) for rank in made.ranks}
        made.by_likeness = PersistentMap((likeness, pods) for likeness, pods in told.items() if pods)
        return made

    @property
    def first(self) -> Workload | None:
        """The class that carries the name of the root; None where ownership leads nowhere."""
        return self.by_likeness[self.ranks[0].likeness] if self.ranks else None

    def class_of(self, member: Workload) -> Workload | None:
        """The class of a member, if it is of one of its own likeness."""
        is_pod = member.ref.kind == "Pod"
        found: Workload | None = self.by_likeness.get(
            likeness_of(member, self.ignored) if is_pod else TEMPLATE
        )
        return found

    @property
    def size(self) -> int:
        """How many members there are."""
        return len(self.others) + self.pods

    def keys(self) -> Iterator[Key]:
        """All members."""
        yield from self.others
        for group in self.groups.values():
            yield from (("Pod", name) for name in group.names)

    def after(self, gone: Sequence[Rooted], come: Sequence[Rooted], members: Members) -> PodFamily | None:
        """The family after members went and came, its controller not among them. Classes that say what they
        said before stay the objects that they were. None where who carries what the template says has to be
        told anew, and so the whole family."""
        others = spliced(
            self.others,
            [rooted.key for rooted in gone if not rooted.is_pod],
            [rooted.key for rooted in come if not rooted.is_pod],
        )
        template = self._template_after(others, members)
        if not _asks_the_same(template, self.template):
            return None
        went, came = ([rooted.member for rooted in part if rooted.is_pod] for part in (gone, come))
        before, now = self._groups_after(went, came, members)
        left = {likeness: group for likeness, group in now.items() if group is not None}
        carriers = self.carriers + _carrying(left) - _carrying(before)
        roots = self.roots.after(self._places(gone), self._places(come))
        made = PodFamily(
            self._named(roots),
            self.controller,
            template,
            others,
            self.ignored,
            roots,
            self.groups.after(left, [likeness for likeness in now if likeness not in left]),
            self.pods + len(came) - len(went),
            carriers,
            self._ranks_after(before, left, carriers, template),
        )
        made.by_likeness = made._classes_after(before, left, self)
        return made

    def _template_after(self, others: Sequence[Key], members: Members) -> Workload | None:
        """The member whose template tells of the pods, of members that are not pods: the controller itself,
        or where nobody read that the first."""
        if self.controller is not None:
            return self.template
        return members[others[0]] if others else None

    def _places(self, told: Iterable[Rooted]) -> list[RootPlace]:
        """What members say of the root: of one that was read, only pods are asked."""
        is_known = self.controller is not None
        return [_place(rooted.root) for rooted in told if rooted.is_pod or not is_known]

    def _groups_after(
        self, gone: Sequence[Workload], come: Sequence[Workload], members: Members
    ) -> tuple[dict[Likeness, PodGroup], dict[Likeness, PodGroup | None]]:
        """The groups that change, as they were and as they are."""
        parts: dict[Likeness, tuple[list[Workload], list[Workload]]] = {}
        for part, pods in enumerate((gone, come)):
            for pod in pods:
                parts.setdefault(likeness_of(pod, self.ignored), ([], []))[part].append(pod)
        before: dict[Likeness, PodGroup] = {}
        now: dict[Likeness, PodGroup | None] = {}
        for likeness, (went, came) in parts.items():
            known = self.groups.get(likeness)
            if known is not None:
                before[likeness] = known
            group = known or PodGroup(came[0], self._carries(came[0]))
            now[likeness] = group.after(went, came, lambda name: members["Pod", name])
        return before, now

    def _carries(self, pod: Workload) -> bool:
        model = self.controller or self.template
        return model is not None and _carries(pod, model)

    def _ranks_after(
        self,
        before: Mapping[Likeness, PodGroup],
        now: Mapping[Likeness, PodGroup],
        carriers: int,
        template: Workload | None,
    ) -> tuple[Rank, ...]:
        were, are = (
            [self._rank(likeness, group.carries, group.first) for likeness, group in groups.items()]
            for groups in (before, now)
        )
        if self.template is not None and TEMPLATE in self.by_likeness:
            were.append(self._rank(TEMPLATE, True, self.template))
        if template is not None and not carriers:
            are.append(self._rank(TEMPLATE, True, template))
        return self.ranks if were == are else spliced(self.ranks, were, are)

    def _rank(self, likeness: Likeness, carries: bool, first: Workload) -> Rank:
        """Those that carry their controller's template come first; the order is that of names."""
        return Rank(self.controller is None or not carries, first.name, likeness != TEMPLATE, likeness)

    def _named(self, roots: Tally[RootPlace]) -> ObjectRef:
        """The root. Of one that nobody read members may say different things: the last one counts."""
        if self.controller is not None or not roots.values:
            return self.root
        api_version, file, line = roots.values[-1]
        return ObjectRef(api_version, self.root.kind, self.root.namespace, self.root.name, file, line)

    def _classes_after(
        self,
        before: Mapping[Likeness, PodGroup],
        now: Mapping[Likeness, PodGroup],
        family: PodFamily,
    ) -> PersistentMap[Likeness, Workload]:
        """The classes: those of the `family` before, but for those that say something else."""
        touched = {
            likeness
            for likeness in before.keys() | now.keys()
            if likeness not in before or likeness not in now or not now[likeness].is_told_by(before[likeness])
        }
        if self.template is not family.template:
            touched.add(TEMPLATE)
        if self.ranks is not family.ranks:
            touched |= {TEMPLATE, *(ranks[0].likeness for ranks in (self.ranks, family.ranks) if ranks)}
        if not _is_same_place(self.root, family.root):
            touched |= {rank.likeness for rank in self.ranks}
        told = {likeness: self._told(likeness, family) for likeness in touched}
        left = {likeness: pods for likeness, pods in told.items() if pods is not None}
        gone = [likeness for likeness in told if likeness not in left]
        return family.by_likeness.after(left, gone)

    def _told(self, likeness: Likeness, earlier: PodFamily | None) -> Workload | None:
        """A class of the family: the object that it was where it says what it said; None where there is none
        of this likeness."""
        root, group = self.root, self.groups.get(likeness)
        template = self.template if likeness == TEMPLATE and not self.carriers else None
        is_first = bool(self.ranks) and self.ranks[0].likeness == likeness
        ref = root if is_first else None
        owner = None if is_first else Owner(root.api_version, root.kind, root.name)
        if group is not None:
            told: Workload = group.as_class(self.controller, self.ignored, ref, owner)
        elif template is not None:
            told = _as_class(template, self.ignored, ref, owner)
        else:
            return None
        known: Workload | None = earlier.by_likeness.get(likeness) if earlier is not None else None
        return known if known is not None and is_unchanged(known, told) else told


def _as_class(
    template: Workload, ignored: frozenset[str], ref: ObjectRef | None, owner: Owner | None
) -> Workload:
    """The pods that a template stands for. That of an owner which nobody read has labels of its own, such as
    the hash of a ReplicaSet, which the owner's has not."""
    if ref is template.ref and owner is None:
        return template
    labels = {key: value for key, value in template.labels.items() if key not in ignored}
    return replace(template, ref=ref or template.ref, owner=owner or template.owner, labels=labels)


class _Said(NamedTuple):
    """What a template says of its pods, or a pod of itself: of the sets a pod may have more, which was
    injected; the rest is the same."""

    sets: tuple[Set[object], ...]
    rest: tuple[object, ...]

    @classmethod
    def by(cls, pods: Workload, are_probed_by_proxy: bool = False) -> _Said:
        """What these pods say. The injector writes a revision of its own, and has the kubelet probe the proxy
        instead (istio/istio manifests/charts/istio-control/istio-discovery/files/injection-template.yaml,
        pkg/kube/inject/app_probe.go; Istio 1.28)."""
        return cls(
            (
                {pair for pair in pods.labels.items() if pair[0] not in INSTANCE_LABELS},
                {pair for pair in pods.annotations.items() if pair[0] != REVISION_LABEL},
                {*pods.switches.items()},
                {*pods.ports},
                {*pods.probe_ports} if not are_probed_by_proxy else frozenset(),
                {"proxy"} if pods.has_proxy else frozenset(),
            ),
            (pods.host_network, pods.service_account, pods.node_local_addresses),
        )


def _carries(pod: Workload, template: Workload) -> bool:
    """Whether a pod has what a template says, what is an instance's left out."""
    own, asked = _Said.by(pod), _Said.by(template, pod.has_proxy and not template.has_proxy)
    pairs = zip(asked.sets, own.sets, strict=True)
    return own.rest == asked.rest and all(wished <= had for wished, had in pairs)


def _asks_the_same(template: Workload | None, other: Workload | None) -> bool:
    """Whether the same pods carry what two templates say."""
    if template is None or other is None:
        return template is other
    return template is other or _Said.by(template) == _Said.by(other)


def _carrying(groups: Mapping[Likeness, PodGroup]) -> int:
    return sum(group.carries for group in groups.values())


def _place(root: ObjectRef) -> RootPlace:
    return (root.api_version, root.file, root.line)


def _is_same_place(now: ObjectRef, before: ObjectRef) -> bool:
    """Whether a root is called what it was called, and stands where it stood."""
    return now is before or (
        now == before and (now.file, now.line, now.accepts) == (before.file, before.line, before.accepts)
    )
