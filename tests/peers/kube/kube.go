// A Kubernetes control plane in one program, since the three share most of their code: `kube etcd FOLDER CLIENTS PEERS`,
// `kube apiserver FLAGS` and `kube proxy FLAGS`. No kubelet, scheduler or controller-manager is among them: tests do by
// hand what those would.
package main

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/signal"
	"syscall"

	"go.etcd.io/etcd/server/v3/embed"
	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/logs/json/register"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	proxy "k8s.io/kubernetes/cmd/kube-proxy/app"
)

const usage = "usage: kube etcd FOLDER CLIENTS PEERS | kube apiserver FLAGS | kube proxy FLAGS"

// One member alone, at URLs of its own, until SIGINT or SIGTERM. ETCD_UNSAFE_NO_FSYNC says that its data may be lost.
func runEtcd(arguments []string) error {
	if len(arguments) != 3 {
		return errors.New(usage)
	}
	clients, err := url.Parse(arguments[1])
	if err != nil {
		return err
	}
	peers, err := url.Parse(arguments[2])
	if err != nil {
		return err
	}
	config := embed.NewConfig()
	config.Dir = arguments[0]
	config.ListenClientUrls, config.AdvertiseClientUrls = []url.URL{*clients}, []url.URL{*clients}
	config.ListenPeerUrls, config.AdvertisePeerUrls = []url.URL{*peers}, []url.URL{*peers}
	config.InitialCluster = config.InitialClusterFromName(config.Name)
	config.LogLevel = "warn"
	_, config.UnsafeNoFsync = os.LookupEnv("ETCD_UNSAFE_NO_FSYNC")
	return serveEtcd(config)
}

func serveEtcd(config *embed.Config) error {
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, os.Interrupt, syscall.SIGTERM)
	etcd, err := embed.StartEtcd(config)
	if err != nil {
		return err
	}
	defer etcd.Close()
	select {
	case <-ended:
		return nil
	case err := <-etcd.Err():
		return err
	}
}

func main() {
	part := ""
	if len(os.Args) > 1 {
		part = os.Args[1]
		os.Args = os.Args[1:]
	}
	switch part {
	case "etcd":
		if err := runEtcd(os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	case "apiserver":
		os.Exit(cli.Run(apiserver.NewAPIServerCommand()))
	case "proxy":
		os.Exit(cli.Run(proxy.NewProxyCommand()))
	default:
		fmt.Fprintln(os.Stderr, usage)
		os.Exit(2)
	}
}
