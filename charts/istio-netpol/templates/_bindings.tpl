{{/* Binds a role to a component's ServiceAccount: `dict root component role [kind] [namespace]`. */}}
{{- define "istio-netpol.binding" -}}
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ if .namespace }}RoleBinding{{ else }}ClusterRoleBinding{{ end }}
metadata:
  name: {{ .role }}
  {{- with .namespace }}
  namespace: {{ . }}
  {{- end }}
  labels:
    {{- include "istio-netpol.labels" .root | nindent 4 }}
    app.kubernetes.io/component: {{ .component }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: {{ default "ClusterRole" .kind }}
  name: {{ .role }}
subjects:
  - kind: ServiceAccount
    name: {{ include "istio-netpol.fullname" .root }}-{{ .component }}
    namespace: {{ .root.Release.Namespace }}
{{- end -}}
