# What a reader must know about a run: the command, when, and on which machine. $1 the data folder, because the cost of a
# durable write depends on its disk, $2 the load average before the run, $3 the command.
said() { "$@" 2>/dev/null || echo unknown; }
cpu=$(sed -n 's/^model name[\t :]*//p' /proc/cpuinfo | head -n 1)
node=$(node --version 2>/dev/null || echo 'not used')
echo "\`$3\` on $(said date -u '+%Y-%m-%d %H:%M UTC'), commit $(said git describe --always --dirty)."
echo
echo "$cpu, $(nproc) cores, $(said uname -sr), data on $(said stat --file-system --format=%T "$1");" \
    "$(said rustc --version), Node.js $node; load average before it $2."
