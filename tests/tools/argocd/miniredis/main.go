// Command miniredis is the cache that Argo CD's processes share: Redis, as far as Argo CD's own tests need it.
package main

import (
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/alicebob/miniredis/v2"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: miniredis HOST:PORT | --version")
		os.Exit(2)
	}
	if os.Args[1] == "--version" {
		printVersion()
		return
	}
	server := miniredis.NewMiniRedis()
	if err := server.StartAddr(os.Args[1]); err != nil {
		fmt.Fprintf(os.Stderr, "miniredis: %v\n", err)
		os.Exit(1)
	}
	defer server.Close()
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt, syscall.SIGTERM)
	expire := time.NewTicker(time.Second)
	for {
		select {
		case <-stop:
			return
		case <-expire.C:
			server.FastForward(time.Second) // its clock stands still otherwise, and no key would expire
		}
	}
}

func printVersion() {
	build, _ := debug.ReadBuildInfo()
	for _, module := range build.Deps {
		if module.Path == "github.com/alicebob/miniredis/v2" {
			fmt.Println(module.Path, module.Version)
		}
	}
}
