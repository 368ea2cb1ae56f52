#!/usr/bin/env bash
# One node: containerd, kubelet and kube-proxy, inside mount, PID and cgroup namespaces of its own. When the process that
# made the namespaces dies, everything here dies with it: no container, mount or shim is left.
# NODE_NAME, NODE_ADDRESS, POD_SUBNET, NODE_FOLDER, PKI, DNS_ADDRESS, KUBELET, KUBE_PROXY, IMAGES come by the environment.
set -euo pipefail
mkdir -p "$NODE_FOLDER" && cd "$NODE_FOLDER"
mount --make-rprivate /

# The way out of a node that has a network of its own; the other end is laid by who started us.
if [ -n "${UPLINK:-}" ]; then
  ip link set lo up
  ip address add "$NODE_ADDRESS/32" dev lo
  touch waiting
  until ip link show eth0 >/dev/null 2>&1; do sleep 0.05; done
  ip link set eth0 up
  ip route add "$UPLINK/32" dev eth0 src "$NODE_ADDRESS"
  ip route add default via "$UPLINK" dev eth0 src "$NODE_ADDRESS" onlink
fi

# The cgroup v1 hierarchies as this namespace sees them: their root is the cluster's own group.
mount -t tmpfs tmpfs /sys/fs/cgroup
while read -r name _ _ enabled; do
  case $enabled$name in
  1cpu | 1cpuacct | 1cpuset | 1memory | 1devices | 1freezer | 1blkio | 1pids)
    mkdir -p "/sys/fs/cgroup/$name" && mount -t cgroup -o "$name" cgroup "/sys/fs/cgroup/$name" ;;
  esac
done </proc/cgroups
mkdir -p /sys/fs/cgroup/systemd && mount -t cgroup -o none,name=systemd cgroup /sys/fs/cgroup/systemd || true
# Two kubelets under one root would remove each other's pods.
for hierarchy in /sys/fs/cgroup/*; do mkdir -p "$hierarchy/$NODE_NAME"; done
for file in cpuset.cpus cpuset.mems; do
  cat "/sys/fs/cgroup/cpuset/$file" >"/sys/fs/cgroup/cpuset/$NODE_NAME/$file"
done

# The kubelet writes settings of the whole kernel: it gets copies, and the machine stays as it is.
mkdir -p sysctl
for file in vm/overcommit_memory vm/panic_on_oom kernel/panic kernel/panic_on_oops kernel/keys/root_maxkeys kernel/keys/root_maxbytes; do
  cp "/proc/sys/$file" "sysctl/${file//\//_}"
  mount --bind "sysctl/${file//\//_}" "/proc/sys/$file"
done

mount -t tmpfs tmpfs /run
mkdir -p /run/netns /run/lock /run/containerd /var/lib/cni
mount -t tmpfs tmpfs /var/lib/cni
[ -L /var/run ] || mount --bind /run /var/run
mkdir -p kubelet containerd cni pod-logs
# In memory: containerd waits for the disk at every step of an import.
mount -t tmpfs tmpfs containerd
mount --rbind "$NODE_FOLDER" "$NODE_FOLDER"
mount --make-rshared /
sysctl -qw net.ipv4.ip_forward=1 net.bridge.bridge-nf-call-iptables=1 || true

cat >cni/10-bridge.conflist <<END
{ "cniVersion": "1.0.0", "name": "wmoc", "plugins": [
  { "type": "bridge", "bridge": "cni0", "isGateway": true, "ipMasq": false, "hairpinMode": true,
    "ipam": { "type": "host-local", "ranges": [[{ "subnet": "$POD_SUBNET" }]], "routes": [{ "dst": "0.0.0.0/0" }] } },
  { "type": "portmap", "capabilities": { "portMappings": true } } ] }
END
cat >containerd.toml <<END
version = 2
root = "$NODE_FOLDER/containerd"
state = "/run/containerd/state"
oom_score = 0
disabled_plugins = ["io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs", "io.containerd.tracing.processor.v1.otlp", "io.containerd.internal.v1.tracing"]
[grpc]
  address = "/run/containerd/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "localhost/pause:1"
  restrict_oom_score_adj = true
  disable_apparmor = true
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "$NODE_FOLDER/cni"
END
containerd --config containerd.toml >containerd.log 2>&1 &
until ctr version >/dev/null 2>&1; do
  kill -0 $! || { cat containerd.log; exit 1; }
  sleep 0.1
done
tar --create --dereference --directory "$IMAGES" . | ctr --namespace k8s.io images import - >import.log

echo 'search cluster.local' >resolv.conf
cat >kubelet.yaml <<END
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
failCgroupV1: false
cgroupDriver: cgroupfs
cgroupRoot: /$NODE_NAME
containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
address: $NODE_ADDRESS
port: 10250
readOnlyPort: 0
healthzPort: 0
authentication: { anonymous: { enabled: false }, webhook: { enabled: false }, x509: { clientCAFile: $PKI/ca.crt } }
authorization: { mode: AlwaysAllow }
tlsCertFile: $PKI/$NODE_NAME.crt
tlsPrivateKeyFile: $PKI/$NODE_NAME.key
clusterDNS: [$DNS_ADDRESS]
clusterDomain: cluster.local
resolvConf: $NODE_FOLDER/resolv.conf
failSwapOn: false
enforceNodeAllocatable: []
evictionHard: { memory.available: 50Mi, nodefs.available: 1%, imagefs.available: 1% }
imageGCHighThresholdPercent: 100
oomScoreAdj: 0
nodeStatusUpdateFrequency: 2s
nodeLeaseDurationSeconds: 8
syncFrequency: 10s
podLogsDir: $NODE_FOLDER/pod-logs
serializeImagePulls: false
END
cat >kube-proxy.yaml <<END
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: nftables
hostnameOverride: $NODE_NAME
clusterCIDR: 10.200.0.0/16
healthzBindAddress: 127.0.0.1:10256
metricsBindAddress: 127.0.0.1:10249
clientConnection: { kubeconfig: $PKI/admin.kubeconfig }
conntrack: { maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s }
END
"$KUBE_PROXY" --config kube-proxy.yaml >kube-proxy.log 2>&1 &
exec "$KUBELET" --config kubelet.yaml --kubeconfig "$PKI/$NODE_NAME.kubeconfig" --hostname-override "$NODE_NAME" \
  --node-ip "$NODE_ADDRESS" --root-dir "$NODE_FOLDER/kubelet" --cert-dir "$NODE_FOLDER/certs" >kubelet.log 2>&1
