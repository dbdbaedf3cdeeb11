#!/usr/bin/env bash
# Watches whether a port can be reached: a gauge each second, and an event where that changes.
#
#     bash watch.sh HOST PORT
was=
while sleep 1; do
  is=0
  timeout 1 bash -c ': > "/dev/tcp/$0/$1"' "$1" "$2" 2>/dev/null && is=1
  wotemu-metric reachable "$is"
  if [[ $was = 1 && $is = 0 ]]; then wotemu-metric --event "$1" "port $2 is out of reach" --level warning; fi
  if [[ $was = 0 && $is = 1 ]]; then wotemu-metric --event "$1" "port $2 is reachable"; fi
  was=$is
done
