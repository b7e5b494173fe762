#!/usr/bin/env bash
# The tour: from nothing to answered requests through two DPUs, and back to nothing. Run by `make demo`, as root.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PWD/.venv/bin:$PATH"
policies=examples/shop.yaml
lab=demo

title() { printf '\n\033[1m== %s\033[0m\n' "$*"; }
run() { printf '\033[2m$\033[0m %s\n' "$*"; "$@"; }

trap 'turnout lab down --name "$lab"' EXIT

title "Check the policies: two networks with the same addresses, two nodes, two services"
run turnout check "$policies"

title "Build the lab: a namespace for each host, DPU and workload; no policy is loaded yet"
run turnout lab up --name "$lab" "$policies"

title "Without policies nothing answers"
turnout lab exec --name "$lab" client -- curl -s -m 1 http://10.96.0.10/ && exit 1 || echo "(no answer, as it should be)"

title "Compile, load through P4Runtime, fill the tables"
run turnout apply "$policies"

title "Ask the service"
run turnout lab exec --name "$lab" client -- curl -s http://10.96.0.10/
run turnout lab exec --name "$lab" client -- curl -s "http://[fd00:10:96::10]/"

title "A hundred requests reach all three backends; web-3 is on the other node"
turnout lab exec --name "$lab" client -- sh -c \
  'for i in $(seq 100); do curl -s http://10.96.0.10/; done' | cut -d' ' -f1 | sort | uniq -c

title "The other network has a client and a service with the same addresses, and a backend of its own"
run turnout lab exec --name "$lab" blue-client -- curl -s http://10.96.0.10/

title "Nothing to do when applied again"
run turnout apply "$policies"

title "What the devices have counted"
run turnout show services
run turnout show ports

title "Take it all away"
trap - EXIT
run turnout lab down --name "$lab"
if ip netns list | grep -q "$lab"; then echo "something was left behind" >&2; exit 1; fi
echo "Done. Next: README.md, section Tour."
