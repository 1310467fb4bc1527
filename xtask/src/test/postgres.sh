# Creates a cluster in the current folder, if there is none, and serves it. $1 the folder of the programs, $2 the port.
# With $3, the port of another cluster here, this one is its replica. PGPASSWORD is then the password.
# PostgreSQL refuses to run as root. Debian's package creates the user `postgres`; every system has `nobody`.
as=
if [ "$(id -u)" = 0 ]; then
    user=postgres
    id -u "$user" >/dev/null 2>&1 || user=nobody
    chown -R "$user" .
    as="setpriv --reuid=$user --regid=$(id -g "$user") --clear-groups"
fi
if [ -d data ]; then
    :
elif [ -n "$3" ]; then
    $as "$1/pg_basebackup" --pgdata=data --host=127.0.0.1 --port="$3" --username=postgres --write-recovery-conf \
        --checkpoint=fast >&2 || exit
else
    $as "$1/initdb" --pgdata=data --username=postgres --pwfile=password --auth=scram-sha-256 --encoding=UTF8 --locale=C >&2 ||
        exit
    rm password
fi
# SIGINT is the "fast" shutdown, which does not wait for clients.
trap 'kill -s INT "$server"' TERM
# `fsync` is set although it is the default: the tests of `kill -9` prove nothing without it.
$as "$1/postgres" -D data -c fsync=on -c listen_addresses=127.0.0.1 -c port="$2" -c unix_socket_directories= \
    -c max_connections=200 >&2 &
server=$!
until "$1/pg_isready" --quiet --host=127.0.0.1 --port="$2" --dbname=postgres --username=postgres; do
    kill -s 0 "$server" || exit 1
    sleep 0.1
done
echo '{}'
wait "$server"
# The trap interrupts the first wait.
wait "$server"
