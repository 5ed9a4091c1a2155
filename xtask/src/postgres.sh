# A PostgreSQL for as long as standard input is open: a cluster in a directory of its own, which
# listens on a socket in it and on no port. Prints that directory once it serves. However whoever
# started this ends, the input ends with them; and then the cluster is stopped and removed.
set -eu
# The keyboard's interrupt goes to everyone at the terminal, and this has to put things away.
trap '' HUP INT TERM

bin=$(pg_config --bindir)
directory=$(mktemp -d)
cd "$directory"

put_away() {
    "$bin/pg_ctl" --pgdata=data --mode=immediate --wait stop >/dev/null 2>&1 || true
    cd /
    rm -rf "$directory"
}
trap put_away EXIT

# Who may enter the directory is trusted, and that is nobody else.
"$bin/initdb" --pgdata=data --auth=trust --username=callgate --encoding=UTF8 --locale=C --no-sync >log 2>&1 &&
    "$bin/pg_ctl" --pgdata=data --log=log --wait \
        --options="-c listen_addresses='' -c unix_socket_directories='$directory' -c fsync=off" \
        start >/dev/null || {
    cat log >&2
    exit 1
}
echo "$directory"
read -r _ || true
