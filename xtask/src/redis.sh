# A Redis for as long as standard input is open, in a directory of its own, which listens on a socket in it and on
# no port, and writes nothing to the disk. Prints the directory once the Redis serves. When the input ends, however the
# process at its other end has ended, the Redis is stopped and the directory removed.
set -eu
# An interrupt from the keyboard reaches every process of the terminal. This one has to clean up.
trap '' HUP INT TERM

directory=$(mktemp -d)
redis-server --port 0 --unixsocket "$directory/redis.sock" --dir "$directory" --save '' --appendonly no \
    >"$directory/log" 2>&1 &
server=$!

clean_up() {
    kill -KILL "$server" 2>/dev/null || true
    wait "$server" 2>/dev/null || true
    rm -rf "$directory"
}
trap clean_up EXIT

until redis-cli -s "$directory/redis.sock" ping >/dev/null 2>&1; do
    kill -0 "$server" 2>/dev/null || {
        cat "$directory/log" >&2
        exit 1
    }
    sleep 0.02
done
echo "$directory"
read -r _ || true
