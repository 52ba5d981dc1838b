{{- define "istio-netpol.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Labels by which a component is selected; never changed after the first installation. */}}
{{- define "istio-netpol.selector" -}}
app.kubernetes.io/name: {{ default .root.Chart.Name .root.Values.nameOverride }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{/* What every object of the chart carries. */}}
{{- define "istio-netpol.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "istio-netpol.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* The settings file. */}}
{{- define "istio-netpol.config" -}}
{{- $own := dict "admission" (dict "ownNamespace" .Release.Namespace) -}}
{{- $header := dict "apiVersion" "istio-netpol.io/v1" "kind" "Settings" -}}
{{- mergeOverwrite (deepCopy .Values.config) $own $header | toYaml -}}
{{- end -}}

{{/* The namespace of istiod. */}}
{{- define "istio-netpol.meshNamespace" -}}
{{- dig "mesh" "rootNamespace" "istio-system" .Values.config -}}
{{- end -}}

{{/* Whether NetworkPolicies are written: asked for, or what the settings make every namespace do. */}}
{{- define "istio-netpol.augments" -}}
{{- $modes := list (dig "admission" "defaultMode" "" .Values.config) (dig "admission" "floor" "" .Values.config) -}}
{{- if or .Values.augment.enabled (has "augment" $modes) -}}true{{- end -}}
{{- end -}}
