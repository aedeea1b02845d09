package check

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/yaml"
)

const manifests = "../kubernetes"

// deployment is what the manifests say.
type deployment struct {
	nodes    appsv1.StatefulSet
	services map[string]corev1.Service
	budget   policyv1.PodDisruptionBudget
	network  networkingv1.NetworkPolicy
	secret   corev1.Secret
}

// read decodes the manifests into the types of Kubernetes itself. A field that
// they do not have, or that has another type, fails the test.
func read(t *testing.T) deployment {
	t.Helper()
	d := deployment{services: map[string]corev1.Service{}}
	files, err := filepath.Glob(filepath.Join(manifests, "*.yaml"))
	if err != nil || len(files) < 5 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for document := range bytes.SplitSeq(text, []byte("\n---\n")) {
			if err := d.add(document); err != nil {
				t.Errorf("%s: %v", file, err)
			}
		}
	}
	if t.Failed() {
		t.FailNow()
	}
	return d
}

func (d *deployment) add(document []byte) error {
	var kind metav1.TypeMeta
	if err := yaml.Unmarshal(document, &kind); err != nil {
		return err
	}
	switch kind.APIVersion + " " + kind.Kind {
	case "apps/v1 StatefulSet":
		return yaml.UnmarshalStrict(document, &d.nodes)
	case "v1 Service":
		var s corev1.Service
		err := yaml.UnmarshalStrict(document, &s)
		d.services[s.Name] = s
		return err
	case "policy/v1 PodDisruptionBudget":
		return yaml.UnmarshalStrict(document, &d.budget)
	case "networking.k8s.io/v1 NetworkPolicy":
		return yaml.UnmarshalStrict(document, &d.network)
	case "v1 Secret":
		return yaml.UnmarshalStrict(document, &d.secret)
	case "kustomize.config.k8s.io/v1beta1 Kustomization":
		return checkKustomization(document)
	}
	return fmt.Errorf("what is a %s %s?", kind.APIVersion, kind.Kind)
}

// checkKustomization: what it names is there.
func checkKustomization(document []byte) error {
	var k struct {
		metav1.TypeMeta `json:",inline"`
		Resources       []string `json:"resources"`
	}
	if err := yaml.UnmarshalStrict(document, &k); err != nil {
		return err
	}
	for _, file := range k.Resources {
		if _, err := os.Stat(filepath.Join(manifests, file)); err != nil {
			return err
		}
	}
	return nil
}

// TestManifestsFitTogether: what they select is there, probes ask what dibs
// answers, and a stop has the time that it takes.
func TestManifestsFitTogether(t *testing.T) {
	d := read(t)
	pod := d.nodes.Spec.Template
	dibs := pod.Spec.Containers[0]
	for name, selects := range map[string]map[string]string{
		"the stateful set": d.nodes.Spec.Selector.MatchLabels, "the budget": d.budget.Spec.Selector.MatchLabels,
		"the network policy": d.network.Spec.PodSelector.MatchLabels,
		"service dibs":       d.services["dibs"].Spec.Selector, "service dibs-nodes": d.services["dibs-nodes"].Spec.Selector,
	} {
		if len(selects) == 0 || !labels.SelectorFromSet(selects).Matches(labels.Set(pod.Labels)) {
			t.Errorf("%s does not select the pods", name)
		}
	}
	for probe, path := range map[*corev1.Probe]string{dibs.StartupProbe: "/healthz", dibs.ReadinessProbe: "/readyz", dibs.LivenessProbe: "/healthz"} {
		if probe == nil || probe.HTTPGet == nil || probe.HTTPGet.Path != path || probe.HTTPGet.Port.StrVal != "http" {
			t.Errorf("a probe is %+v, want %s", probe, path)
		}
	}
	stop := stopTime(t, dibs.Args) + time.Duration(dibs.Lifecycle.PreStop.Sleep.Seconds)*time.Second
	if grace := time.Duration(*pod.Spec.TerminationGracePeriodSeconds) * time.Second; grace <= stop {
		t.Errorf("a stop takes up to %s and is killed after %s", stop, grace)
	}
	if nodes := d.services[d.nodes.Spec.ServiceName]; nodes.Spec.ClusterIP != corev1.ClusterIPNone || !nodes.Spec.PublishNotReadyAddresses {
		t.Errorf("the nodes find each other by %q: %+v", d.nodes.Spec.ServiceName, nodes.Spec)
	}
	if d.budget.Spec.MaxUnavailable.IntValue() != 1 || *d.nodes.Spec.Replicas < 3 {
		t.Error("two of three nodes must stay")
	}
	for i := range *d.nodes.Spec.Replicas {
		if peer := fmt.Sprintf("dibs-%d.%s:6222", i, d.nodes.Spec.ServiceName); !strings.Contains(strings.Join(dibs.Args, " "), peer) {
			t.Errorf("the nodes do not know their peer %s", peer)
		}
	}
	c := dibs.SecurityContext
	if !*c.ReadOnlyRootFilesystem || *c.AllowPrivilegeEscalation || !*pod.Spec.SecurityContext.RunAsNonRoot || c.Capabilities.Drop[0] != "ALL" {
		t.Error("the container may do more than it needs")
	}
}

func stopTime(t *testing.T, args []string) time.Duration {
	t.Helper()
	for _, a := range args {
		if text, ok := strings.CutPrefix(a, "--shutdown-timeout="); ok {
			return duration(t, text)
		}
	}
	t.Fatal("no --shutdown-timeout")
	return 0
}

// TestManifestsStartDibs: the settings are such that dibs would start, were the
// database there: it says that the database is not.
func TestManifestsStartDibs(t *testing.T) {
	d := read(t)
	dibs := d.nodes.Spec.Template.Spec.Containers[0]
	env := map[string]string{"POD_NAME": "dibs-0"}
	for _, v := range dibs.Env {
		if v.Value != "" {
			env[v.Name] = v.Value
		}
	}
	for name, value := range d.secret.StringData {
		env[name] = value
	}
	var args []string
	for _, a := range dibs.Args {
		for name, value := range env {
			a = strings.ReplaceAll(a, "$("+name+")", value)
		}
		args = append(args, a)
	}
	startWithoutDatabase(t, args, env)
}
