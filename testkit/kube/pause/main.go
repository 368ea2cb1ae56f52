// The container that holds a pod's namespaces; called as `pause serve :8080` a server that tells its host's name.
package main

import (
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	if len(os.Args) == 3 && os.Args[1] == "serve" {
		http.HandleFunc("/", func(answer http.ResponseWriter, request *http.Request) {
			name, _ := os.Hostname()
			fmt.Fprintln(answer, name)
		})
		go func() {
			fmt.Fprintln(os.Stderr, http.ListenAndServe(os.Args[2], nil))
			os.Exit(1)
		}()
	}
	end := make(chan os.Signal, 1)
	signal.Notify(end, syscall.SIGTERM, syscall.SIGINT)
	children := make(chan os.Signal, 16)
	signal.Notify(children, syscall.SIGCHLD)
	for {
		select {
		case <-end:
			return
		case <-children:
			for {
				if pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil); pid <= 0 || err != nil {
					break
				}
			}
		}
	}
}
