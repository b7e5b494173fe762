// The stargz snapshotter as a proxy plugin of containerd: its own library, served at a socket, with every file in a
// folder. Registries that are named are asked over plain HTTP, layers' tables of contents are checked (it never fetches a
// layer whose table is not the one that the manifest names).
package main

import (
	"context"
	"flag"
	"log"
	"net"
	"os"
	"os/signal"
	"syscall"

	snapshotsapi "github.com/containerd/containerd/api/services/snapshots/v1"
	"github.com/containerd/containerd/v2/contrib/snapshotservice"
	"github.com/containerd/stargz-snapshotter/service"
	"github.com/containerd/stargz-snapshotter/service/resolver"
	"google.golang.org/grpc"
)

func main() {
	address := flag.String("address", "", "socket to serve")
	root := flag.String("root", "", "folder of everything that is kept")
	flag.Parse()
	if *address == "" || *root == "" {
		flag.Usage()
		os.Exit(2)
	}
	if err := serve(*address, *root, flag.Args()); err != nil {
		log.Fatal(err)
	}
}

// Until it is told to end; mounts go with it.
func serve(address, root string, plain []string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	snapshotter, err := service.NewStargzSnapshotterService(ctx, root, &service.Config{ResolverConfig: hosts(plain)})
	if err != nil {
		return err
	}
	listener, err := net.Listen("unix", address)
	if err != nil {
		return err
	}
	server := grpc.NewServer()
	snapshotsapi.RegisterSnapshotsServer(server, snapshotservice.FromSnapshotter(snapshotter))
	go func() {
		<-ctx.Done()
		server.Stop()
	}()
	if err := server.Serve(listener); err != nil {
		return err
	}
	return snapshotter.Close()
}

func hosts(plain []string) service.ResolverConfig {
	found := map[string]resolver.HostConfig{}
	for _, host := range plain {
		found[host] = resolver.HostConfig{Mirrors: []resolver.MirrorConfig{{Host: host, Insecure: true}}}
	}
	return service.ResolverConfig{Host: found}
}
