# Runs a program until it ends, or until a line or the end of standard input asks it to end.
# $1 a folder to remove if the holder of the leash has died, then the program. Standard output and error are handed on
# and closed here, so that a reader sees the program's end of file.
folder=$1
# Tenths of a second from that request to the kill.
grace=300
shift
exec 3<&0 4>&1 5>&2 </dev/null >/dev/null 2>&1
"$@" </dev/null >&4 2>&5 3<&- 4>&- 5>&- &
program=$!
exec 4>&- 5>&-
(
    broken=
    read -r _ <&3 || { broken=yes; trap '' TERM; }
    kill -s TERM "$program"
    waited=0
    while kill -s 0 "$program" && [ "$waited" -lt "$grace" ]; do
        sleep 0.1
        waited=$((waited + 1))
    done
    kill -s KILL "$program"
    if [ -n "$broken" ] && [ -n "$folder" ]; then
        rm -rf "$folder" || { sleep 1; rm -rf "$folder"; }
    fi
) &
exec 3<&-
wait "$program"
status=$?
# What the program left behind in its group: a browser, or a server of a test.
trap '' TERM
kill -s TERM 0
exit "$status"
