{{/* Namespaces of which nothing is ever sent: what a cluster needs to come back, and what the settings exempt. */}}
{{- define "istio-netpol.exempt" -}}
- key: kubernetes.io/metadata.name
  operator: NotIn
  values:
    {{- $never := list "kube-system" "kube-public" "kube-node-lease" .Release.Namespace -}}
    {{- range concat $never (dig "admission" "exemptNamespaces" (list) .Values.config) | uniq }}
    - {{ . }}
    {{- end }}
{{- end -}}

{{/* Mode `off` needs no webhook, unless a floor forbids it: then the webhook has to be asked. */}}
{{- define "istio-netpol.off" -}}
{{- if not (dig "admission" "floor" "" .Values.config) -}}
"off"
{{- end -}}
{{- end -}}

{{/*
Where the webhook is: `dict root path`. Without caBundle, whoever keeps the certificate writes it. The path of a
Service is secret: the controller draws and writes it.
*/}}
{{- define "istio-netpol.client" -}}
{{- with .root.Values.admission.url -}}
url: {{ trimSuffix "/" . }}{{ $.path }}
{{- else -}}
service:
  name: {{ include "istio-netpol.fullname" .root }}-webhook
  namespace: {{ .root.Release.Namespace }}
  {{- if .root.Values.admission.registerPlainPaths }}
  path: {{ .path }}
  {{- end }}
  port: 443
{{- end }}
{{- with .root.Values.admission.caBundle }}
caBundle: {{ . }}
{{- end }}
{{- end -}}

{{- define "istio-netpol.certManagerAnnotation" -}}
{{- if and (eq .Values.certificates.provider "cert-manager") (not .Values.admission.caBundle) -}}
cert-manager.io/inject-ca-from: {{ .Release.Namespace }}/{{ include "istio-netpol.fullname" . }}-certificate
{{- end }}
{{- end -}}

{{/*
What can break or need a flow. No subresource is listed: scaling, status, eviction and binding never come.
Only a NetworkPolicy takes flows of others away when it is deleted; everything else can always go.
*/}}
{{- define "istio-netpol.admitted" -}}
- apiGroups: [""]
  apiVersions: ["*"]
  resources: [pods, replicationcontrollers, services]
  operations: [CREATE, UPDATE]
  scope: Namespaced
- apiGroups: [""]
  apiVersions: ["*"]
  resources: [namespaces]
  operations: [UPDATE]
  scope: Cluster
- apiGroups: [apps]
  apiVersions: ["*"]
  resources: [daemonsets, deployments, replicasets, statefulsets]
  operations: [CREATE, UPDATE]
  scope: Namespaced
- apiGroups: [batch]
  apiVersions: ["*"]
  resources: [cronjobs, jobs]
  operations: [CREATE, UPDATE]
  scope: Namespaced
- apiGroups: [argoproj.io]
  apiVersions: ["*"]
  resources: [rollouts]
  operations: [CREATE, UPDATE]
  scope: Namespaced
- apiGroups: [networking.istio.io]
  apiVersions: ["*"]
  resources: [destinationrules, envoyfilters, gateways, serviceentries, sidecars, virtualservices, workloadentries]
  operations: [CREATE, UPDATE]
  scope: Namespaced
- apiGroups: [extensions.istio.io]
  apiVersions: ["*"]
  resources: [wasmplugins]
  operations: [CREATE, UPDATE]
  scope: Namespaced
- apiGroups: [security.istio.io]
  apiVersions: ["*"]
  resources: [authorizationpolicies, requestauthentications]
  operations: [CREATE, UPDATE]
  scope: Namespaced
- apiGroups: [telemetry.istio.io]
  apiVersions: ["*"]
  resources: [telemetries]
  operations: [CREATE, UPDATE]
  scope: Namespaced
- apiGroups: [gateway.networking.k8s.io]
  apiVersions: ["*"]
  resources: [gateways, grpcroutes, httproutes, listenersets, referencegrants, tcproutes, tlsroutes, udproutes]
  operations: [CREATE, UPDATE]
  scope: Namespaced
- apiGroups: [gateway.networking.x-k8s.io]
  apiVersions: ["*"]
  resources: [xlistenersets]
  operations: [CREATE, UPDATE]
  scope: Namespaced
- apiGroups: [networking.k8s.io]
  apiVersions: ["*"]
  resources: [ingresses]
  operations: [CREATE, UPDATE]
  scope: Namespaced
- apiGroups: [networking.k8s.io]
  apiVersions: ["*"]
  resources: [networkpolicies]
  operations: [CREATE, UPDATE, DELETE]
  scope: Namespaced
{{- end -}}

{{/*
All must hold for a request to be sent. An expression that fails would refuse the request where the webhook
fails closed, and lose it elsewhere: each reads only what is there. A DELETE has no object, a CREATE no oldObject.
*/}}
{{- define "istio-netpol.conditions" -}}
{{- $name := include "istio-netpol.fullname" . -}}
{{- $account := printf "system:serviceaccount:%s:%s" .Release.Namespace $name -}}
# Our own writes. By user, whom nobody can forge: a field manager is whatever a client says.
- name: not-our-own-write
  expression: >-
    !(request.userInfo.username in [{{ printf "'%s-webhook', '%s-controller'" $account $account }}])
{{- with dig "admission" "exemptUsers" (list) .Values.config }}
- name: not-by-an-exempt-user
  expression: >-
    !(request.userInfo.username in {{ include "istio-netpol.celList" . }})
{{- end }}
{{- with dig "admission" "exemptGroups" (list "system:nodes") .Values.config }}
- name: not-by-an-exempt-group
  expression: >-
    !has(request.userInfo.groups) ||
    !request.userInfo.groups.exists(group, group in {{ include "istio-netpol.celList" . }})
{{- end }}
# Kubernetes empties a namespace that is deleted, and collects what lost its owner: stopping it would leave both hanging.
- name: not-cleaning-up
  expression: >-
    request.operation != 'DELETE' ||
    !(request.userInfo.username in ['system:serviceaccount:kube-system:namespace-controller',
    'system:serviceaccount:kube-system:generic-garbage-collector', 'system:kube-controller-manager'])
# What is being deleted is gone with its last finalizer. Until then it holds, and may still be edited.
- name: not-going-away
  expression: >-
    request.operation != 'UPDATE' || !has(oldObject.metadata.deletionTimestamp) ||
    object.metadata.?finalizers.orValue([]).size() > 0 || oldObject.metadata.?finalizers.orValue([]).size() == 0
# What rules read: labels, annotations of these domains and of load balancers, and the spec; of a workload, its template
# and selector.
# Annotations are compared one by one only while they are few, since an expression has a budget.
- name: changes-what-rules-read
  expression: >-
    request.operation != 'UPDATE' ||
    object.metadata.?labels.orValue({}) != oldObject.metadata.?labels.orValue({}) ||
    (has(object.spec) && has(oldObject.spec) && has(object.spec.template) && has(oldObject.spec.template)
      ? object.spec.template != oldObject.spec.template || object.spec.?selector != oldObject.spec.?selector
      : object.?spec != oldObject.?spec && request.kind.kind != 'Namespace') ||
    (object.metadata.?annotations.orValue({}) != oldObject.metadata.?annotations.orValue({}) &&
      (object.metadata.?annotations.orValue({}).size() + oldObject.metadata.?annotations.orValue({}).size() > 100 ||
      [[object, oldObject], [oldObject, object]].exists(pair,
        pair[0].metadata.?annotations.orValue({}).exists(key,
          (key == 'kubernetes.io/ingress.class' || key.matches('^([^/]*[.])?(istio[.]io|istio-netpol[.]io|kubernetes[.]azure[.]com)/') ||
            key.matches('^(service[.](beta[.])?kubernetes[.]io|networking[.]gke[.]io|cloud[.]google[.]com)/.*load-?balancer')) &&
          pair[0].metadata.annotations[key] != pair[1].metadata.?annotations.orValue({})[?key].orValue('')))))
{{- end -}}

{{/*
What the validating webhooks leave out besides, unless `denyControlledPods` has it refused. It needs no selector for modes:
the answer is the same in all of them, and nothing is written on it. In mode `augment` the mutating webhook is asked, since
policies may have to be written before a pod starts.
*/}}
{{- define "istio-netpol.validatingConditions" -}}
{{ include "istio-netpol.conditions" . }}
{{- if not (dig "admission" "denyControlledPods" false .Values.config) }}
# Pods, ReplicaSets and Jobs that a controller owns are admitted whatever they lack, and no person reads the warning: a node's
# failure, a rollback or a CronJob's next run costs no call. The owner comes from the object and may be forged, so it counts
# only in requests of Kubernetes' own controllers, whose users no tenant can be; other controllers are asked. The first user
# is kube-controller-manager without --use-service-account-credentials.
- name: not-made-by-a-controller
  expression: >-
    !(request.resource.resource in ['pods', 'replicasets', 'jobs'] &&
    request.userInfo.username in ['system:kube-controller-manager',
    'system:serviceaccount:kube-system:cronjob-controller', 'system:serviceaccount:kube-system:daemon-set-controller',
    'system:serviceaccount:kube-system:deployment-controller', 'system:serviceaccount:kube-system:job-controller',
    'system:serviceaccount:kube-system:replicaset-controller', 'system:serviceaccount:kube-system:replication-controller',
    'system:serviceaccount:kube-system:statefulset-controller'] &&
    object.metadata.?ownerReferences.orValue([]).exists(owner, owner.?controller.orValue(false)))
{{- end }}
{{- end -}}

{{/*
Which values of the mode's label make a namespace be augmented. A floor of `augment` raises `warn` and `off`, and the
default mode if that is one of them; `reject` is as strict. Without label, and with one that is no mode, the default holds.
*/}}
{{- define "istio-netpol.augmented" -}}
{{- $default := dig "admission" "defaultMode" "warn" .Values.config -}}
{{- if ne (dig "admission" "floor" "" .Values.config) "augment" -}}
{{- if eq $default "augment" -}}
operator: NotIn
values: ["off", reject, warn]
{{- else -}}
operator: In
values: [augment]
{{- end -}}
{{- else if eq $default "reject" -}}
operator: In
values: [augment, "off", warn]
{{- else -}}
operator: NotIn
values: [reject]
{{- end -}}
{{- end -}}

{{/* A call that fails where the webhook fails closed shows users its URL, and with it the path that lets policies be written. */}}
{{- define "istio-netpol.mutatingFailurePolicy" -}}
{{- if and (eq .Values.admission.failurePolicyMutating "Fail") (not .Values.admission.url) (not .Values.admission.clientCertificates.configMap) -}}
{{- fail "admission.failurePolicyMutating: Fail would show users the secret path when a call fails; keep Ignore, or set admission.clientCertificates. With Ignore, an object whose policies were not written is refused where its namespace opted in, except for pods that Kubernetes' own controllers make: what those lack is added by the controller" -}}
{{- end -}}
{{ .Values.admission.failurePolicyMutating }}
{{- end -}}

{{- define "istio-netpol.celList" -}}
{{- $quoted := list -}}
{{- range . -}}
{{- $quoted = append $quoted (printf "'%s'" (. | replace "\\" "\\\\" | replace "'" "\\'")) -}}
{{- end -}}
[{{ join ", " $quoted }}]
{{- end -}}
