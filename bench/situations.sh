#!/usr/bin/env bash
# What docs/explanation/durability.md says of situations that a test cannot make: another user, a read-only disk, no
# locks, a stopped process, clocks, another version. Linux, root, gcc, util-linux; prints each answer and its status.
#
#   bench/situations.sh [commit of another version]
set -uo pipefail
cd "$(dirname "$0")/.."
python="$PWD/.venv/bin/python"
place=$(mktemp -d)
trap 'umount "$place/disk" 2>/dev/null; rm -rf "$place"' EXIT
export OMP_NUM_THREADS=1
csv="$place/sounds/little.csv"
"$python" -c "
import sys, pathlib
from tests.train.sounds import write_dataset
write_dataset(pathlib.Path(sys.argv[1]))" "$place/sounds"

title() { printf '\n== %s\n' "$*"; }
shown() { "$@" >"$place/said" 2>&1; local status=$?; tail -n 2 "$place/said" | cut -c 1-200; echo "   exit status $status"; }
features() { shown "$python" -m pipeline features DATASET="$csv" JOBS=1 FEATURES="mel rms" "$@"; }
train() { shown "$python" -m train run DATASET="$csv" FEATURES=mel MODEL=linear "$@"; }
# root owns everything and may do anything: without these capabilities it is another user to what is nobody's
stranger=(setpriv --bounding-set=-dac_override,-dac_read_search,-fowner "$python")

title "a cache that was moved: sound, trained on, extended"
features DATA="$place/first"
mv "$place/first" "$place/data"
shown "$python" -m features_cache verify DATASET="$csv" DATA="$place/data"
train DATA="$place/data" RUNS="$place/runs"
features DATA="$place/data" FEATURES=zcr

title "a disk that is read-only: read, never written"
mkdir "$place/disk" && mount -t tmpfs tmpfs "$place/disk" && cp -r "$place/data" "$place/disk/data"
mount -o remount,ro "$place/disk"
shown "$python" -m features_cache verify DATASET="$csv" DATA="$place/disk/data"
train DATA="$place/disk/data" RUNS="$place/runs-of-read-only"
features DATA="$place/disk/data" FEATURES=mfcc
train DATA="$place/data" RUNS="$place/disk/runs"
shown "$python" -m analysis DATASET="$csv" DATA="$place/data" RUNS="$place/runs" REPORTS="$place/disk/reports"

title "a full disk: exit status 1, nothing left behind"
umount "$place/disk" && mount -t tmpfs -o size=64k tmpfs "$place/disk"
shown "$python" -m features_cache export DATASET="$csv" DATA="$place/data" FILE="$place/all.h5"
shown "$python" -m features_cache export DATASET="$csv" DATA="$place/data" FILE="$place/disk/all.h5"
shown "$python" -m features_cache import DATASET="$csv" DATA="$place/disk" FILE="$place/all.h5"
find "$place/disk" -type f -size +0
umount "$place/disk" && mount -t tmpfs -o nr_inodes=3 tmpfs "$place/disk"
features DATA="$place/disk"
train DATA="$place/data" RUNS="$place/disk/runs"

title "another user's cache and runs: read where that is allowed, never written"
cp -r "$place/data" "$place/theirs"; chown -R nobody "$place/theirs"; chmod -R go-w "$place/theirs"
shown "${stranger[@]}" -m train run DATASET="$csv" FEATURES=mel MODEL=linear DATA="$place/theirs" RUNS="$place/runs-mine"
shown "${stranger[@]}" -m pipeline features DATASET="$csv" FEATURES=mfcc DATA="$place/theirs"
chmod 600 "$place/theirs/little/features/mel.h5"
shown "${stranger[@]}" -m features_cache verify DATASET="$csv" DATA="$place/theirs"
shown "${stranger[@]}" -m train run DATASET="$csv" FEATURES=mel MODEL=linear DATA="$place/theirs" RUNS="$place/runs-other"
chmod 600 "$place/theirs/little/features/index.h5"
shown "${stranger[@]}" -m features_cache info DATASET="$csv" DATA="$place/theirs"

title "a home that cannot be written"
mkdir "$place/home"; chown nobody "$place/home"; chmod 555 "$place/home"
shown env HOME="$place/home" XDG_CACHE_HOME="$place/home/x" "${stranger[@]}" -m pipeline features DATASET="$csv" \
    FEATURES="zcr mfcc" DATA="$place/data" JOBS=2
shown env HOME="$place/home" XDG_CACHE_HOME="$place/home/x" XDG_CONFIG_HOME="$place/home/y" "${stranger[@]}" -m analysis \
    DATASET="$csv" DATA="$place/data" RUNS="$place/runs" REPORTS="$place/reports"

title "a clock without time zone data"
shown env TZ=Nowhere/Nothing TZDIR=/nonexistent PYTHONTZPATH=/nonexistent "$python" -m analysis DATASET="$csv" \
    DATA="$place/data" RUNS="$place/runs" REPORTS="$place/reports" OVERWRITE=1

title "a clock that was set back, then forward: nothing is computed again where the content is the same"
find "$place/sounds" "$place/data" -exec touch -d 2001-01-01 {} +
features DATA="$place/data"
find "$place/sounds" -exec touch -d 2045-01-01 {} +
features DATA="$place/data"

title "a file replaced by one of the same size and time: not noticed, until it is computed again (documented)"
"$python" -c "
import os, sys
file = sys.argv[1]
before, content = os.stat(file), bytearray(open(file, 'rb').read())
content[2000:9000] = bytes(7000)
open(file, 'wb').write(content)
os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))" "$place/sounds/hiss-1-0.wav"
features DATA="$place/data"
shown "$python" -m pipeline verify DATASET="$csv" DATA="$place/data" FEATURES=mel RECOMPUTE=24

title "a file system without locks: two runs at once, the same bytes"
printf '#include <errno.h>\nint flock(int d, int o) { errno = ENOLCK; return -1; }\n' >"$place/nolock.c"
gcc -shared -fPIC -o "$place/nolock.so" "$place/nolock.c"
(LD_PRELOAD="$place/nolock.so" features DATA="$place/unlocked") &
LD_PRELOAD="$place/nolock.so" features DATA="$place/unlocked"
wait
shown "$python" -m features_cache verify DATASET="$csv" DATA="$place/unlocked"

title "a run that is stopped for half a minute: a second one is refused, then the first goes on"
"$python" -m pipeline features DATASET="$csv" DATA="$place/stopped" FEATURES="all" JOBS=1 >"$place/stopped.txt" 2>&1 &
run=$!
until compgen -G "$place/stopped/little/features/locks/run-*" >/dev/null || ! kill -0 $run 2>/dev/null; do sleep 0.1; done
kill -STOP $run
features DATA="$place/stopped"
sleep 30
kill -CONT $run; wait $run; echo "   exit status of the first $?"
shown "$python" -m features_cache verify DATASET="$csv" DATA="$place/stopped"

if [ $# -gt 0 ]; then
    title "two versions on one cache: $1 makes and extends, this one goes on, and the other way round"
    mkdir "$place/other" && git archive "$1" | tar xf - -C "$place/other"
    old() { (cd "$place/other" && shown "$python" -m pipeline features DATASET="$csv" JOBS=1 DATA="$place/mixed" "$@"); }
    old FEATURES="mel rms"
    features DATA="$place/mixed" FEATURES="mel rms zcr"
    old FEATURES="mel zcr mfcc"
    shown "$python" -m features_cache verify DATASET="$csv" DATA="$place/mixed"
    train DATA="$place/mixed" RUNS="$place/runs-mixed"
    (cd "$place/other" && shown "$python" -m train run DATASET="$csv" FEATURES=mel MODEL=linear DATA="$place/mixed" \
        RUNS="$place/runs-old")
    shown "$python" -m train list
    shown "$python" -m analysis DATASET="$csv" DATA="$place/mixed" RUNS="$place/runs-old" REPORTS="$place/reports-mixed"
fi
