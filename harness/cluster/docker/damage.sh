# Damages a table or log of a store that is stopped, or makes it whole again. Runs in a container that has the
# store's volume, and keeps what was there before.
#   damage.sh rotten|truncated DIR FILE PART   FILE and PART are millionths: which file, and where in it
#   damage.sh mend DIR                         unless the store has changed the file since
set -euo pipefail
shopt -s globstar nullglob
LC_ALL=C
keep=${KEEP:-/tmp}
cd "$2"
if [ "$1" = mend ]; then
	f=$(cat "$keep/file")
	if [ -e "$f" ] && cmp -s "$f" "$keep/after"; then
		cat "$keep/before" >"$f"
		sync "$f"
	fi
	exit 0
fi
files=()
for f in **/*.log **/*.sst; do
	[ ! -s "$f" ] || files+=("$f")
done
n=${#files[@]}
[ "$n" -gt 0 ] || { echo "there is no table and no log to damage" >&2; exit 1; }
i=$((n * $3 / 1000000))
f=${files[i < n ? i : n - 1]}
size=$(stat -c %s "$f")
cat "$f" >"$keep/before"
at=$((size * $4 / 1000000))
case $1 in
truncated) truncate -s $((size - (at > 0 ? at : 1))) "$f" ;;
rotten)
	at=$((at < size ? at : size - 1))
	byte=$(od -An -tu1 -j "$at" -N 1 "$f")
	printf "\\x$(printf %02x $((byte ^ 1)))" | dd of="$f" bs=1 seek="$at" conv=notrunc status=none
	;;
esac
sync "$f"
cat "$f" >"$keep/after"
echo "$f" | tee "$keep/file"
