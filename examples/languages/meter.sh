#!/bin/sh
# Compiles the meter into its node's scratch folder, and runs it: sh meter.sh HOST PORT
if ! command -v cc >/dev/null; then
  echo 'there is no C compiler `cc`: install gcc and libc6-dev' >&2
  exit 1
fi
cc -O2 -Wall -o "$WOTEMU_SCRATCH/meter" "${0%/*}/meter.c" && exec "$WOTEMU_SCRATCH/meter" "$@"
