{{/* Labels of an object: (list $ component), component may be "". */}}
{{- define "introspection.labels" -}}
{{- $root := index . 0 -}}
{{- $component := index . 1 -}}
{{ include "introspection.selector" . }}
app.kubernetes.io/part-of: introspection-operator
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" }}
{{- end }}

{{/* What selects the pods of a component. */}}
{{- define "introspection.selector" -}}
app.kubernetes.io/name: introspection-operator
{{- with index . 1 }}
app.kubernetes.io/component: {{ . }}
{{- end }}
{{- end }}

{{- define "introspection.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{- define "introspection.webhookURL" -}}
{{ .Values.webhook.url | default (printf "https://webhook.%s.svc" .Values.namespaces.webhook) }}
{{- end }}

{{- define "introspection.authorizeURL" -}}
{{ .Values.webhook.authorizeURL | default (printf "https://webhook.%s.svc:9443" .Values.namespaces.webhook) }}
{{- end }}

{{- define "introspection.extAuthzAddress" -}}
{{ .Values.webhook.extAuthzAddress | default (printf "webhook.%s.svc:9444" .Values.namespaces.webhook) }}
{{- end }}

{{- define "introspection.tokenReviewURL" -}}
{{ .Values.webhook.tokenReviewURL | default (printf "https://webhook.%s.svc:7443" .Values.namespaces.webhook) }}
{{- end }}

{{/* Where pods go: (dict of a component's values). */}}
{{- define "introspection.scheduling" -}}
{{- with .priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* The webhook's configuration file. Where a gateway's pods are is the NetworkPolicy's business. */}}
{{- define "introspection.webhookConfig" -}}
gateways:
{{- if .Values.webhook.gateways }}
{{- range .Values.webhook.gateways }}
  - {{ omit . "namespaceSelector" "podSelector" | toYaml | nindent 4 | trim }}
{{- end }}
{{- else }} []
{{- end }}
{{- with .Values.webhook.tokenReview }}
tokenReview:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* The peers of a NetworkPolicy for gateways: (list of gateways). */}}
{{- define "introspection.gatewayPeers" -}}
{{- range . }}
- namespaceSelector:
    {{- toYaml .namespaceSelector | nindent 4 }}
  {{- with .podSelector }}
  podSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}
{{- end }}

{{- define "introspection.securityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop:
    - ALL
{{- end }}
