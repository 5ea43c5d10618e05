#!/bin/sh
# Outlives its parent on purpose: its standard input ends when the parent is gone, however it went. It then stops the
# process that it was told of last and removes the folder that it was given.
pid=0
while read -r line; do
  [ "$line" != released ] || exit 0
  pid=$line
done

if [ "$pid" -gt 0 ]; then
  # Takes PostgreSQL's children along, which SIGKILL would leave behind.
  kill -QUIT "$pid" 2>/dev/null
  for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
    kill -0 "$pid" 2>/dev/null || break
    sleep 0.1
  done
  kill -KILL "$pid" 2>/dev/null
fi
# A small disk of the rig may be mounted there.
! mountpoint -q "$1" || umount -l "$1"
rm -rf "$1"
