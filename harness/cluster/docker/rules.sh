# Installs or rewrites a pod's packet filter rules. Runs in a host container.
#   rules.sh install        finds the backend that works, hooks the chain in, prints the backend
#   rules.sh apply BACKEND  rewrites the chains
#   rules.sh save BACKEND   prints rules and counters
# The chains' rules come in on standard input. Rules that were there before keep their
# counters: they are recognised by their comments, which are unique.
set -euo pipefail

hook() { # backend: chains of our own, first in INPUT and OUTPUT, each once. IPv6 between pods is refused.
	local saved jumps=()
	saved=$("iptables-$1-save" -t filter 2>/dev/null) || saved=
	[[ $saved == *"-j CARTWHEEL-IN"* ]] || jumps+=('-I INPUT 1 -m comment --comment cartwheel/jump -j CARTWHEEL-IN')
	[[ $saved == *"-j CARTWHEEL-OUT"* ]] || jumps+=('-I OUTPUT 1 -m comment --comment cartwheel/jump-out -j CARTWHEEL-OUT')
	if [ ${#jumps[@]} != 0 ]; then
		printf '%s\n' '*filter' ':CARTWHEEL-IN - [0:0]' ':CARTWHEEL-OUT - [0:0]' "${jumps[@]}" COMMIT |
			"iptables-$1-restore" -w 5 -n || return
	fi
	if [ -s /proc/net/if_inet6 ]; then
		saved=$("ip6tables-$1-save" -t filter 2>/dev/null) || saved=
		[[ $saved == *"-j CARTWHEEL-IN"* ]] || "ip6tables-$1-restore" -w 5 -n <<-'END' || return
			*filter
			:CARTWHEEL-IN - [0:0]
			-A CARTWHEEL-IN -i lo -j RETURN
			-A CARTWHEEL-IN -j DROP
			-I INPUT 1 -m comment --comment cartwheel/jump -j CARTWHEEL-IN
			COMMIT
		END
	fi
}

apply() { # backend
	local saved line
	local -A counter=()
	saved=$("iptables-$1-save" -c -t filter)
	while IFS= read -r line; do
		if [[ $line =~ ^(\[[0-9]+:[0-9]+\])\ -A\ CARTWHEEL-(IN|OUT)\ .*--comment\ \"?([^\"\ ]+) ]]; then
			counter[${BASH_REMATCH[3]}]=${BASH_REMATCH[1]}
		fi
	done <<<"$saved"
	{
		printf '%s\n' '*filter' ':CARTWHEEL-IN - [0:0]' ':CARTWHEEL-OUT - [0:0]'
		while IFS= read -r line; do
			[[ $line =~ --comment\ ([^\ ]+) ]] || continue
			printf '%s %s\n' "${counter[${BASH_REMATCH[1]}]:-[0:0]}" "$line"
		done
		echo COMMIT
	} | "iptables-$1-restore" -w 5 -c -n
}

case $1 in
install)
	for backend in nft legacy; do
		if hook "$backend"; then
			apply "$backend"
			echo "$backend"
			exit 0
		fi
	done
	echo "neither iptables backend works in this kernel" >&2
	exit 1
	;;
apply) apply "$2" ;;
save) "iptables-$2-save" -c -t filter ;;
esac
