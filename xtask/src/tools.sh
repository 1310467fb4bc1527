# Finds tools. Prints a PATH in which all are found, and then the path of the main program of each argument.
# As root on Debian it installs what is missing. Exits with 2 if something is still missing, and says what to do.
# A program that is too old fails much later with an error that names something else, so versions are checked here.

# Debian keeps the programs of PostgreSQL out of the PATH, in a folder for each major version. The newest is first. Servers
# such as nginx are not in the PATH of everyone.
for folder in /usr/sbin /usr/local/go/bin /Applications/Chromium.app/Contents/MacOS \
    $(printf '%s\n' /usr/lib/postgresql/*/bin /opt/homebrew/opt/postgresql@*/bin /usr/local/opt/postgresql@*/bin | sort -rV); do
    [ ! -d "$folder" ] || PATH=$PATH:$folder
done

find_tool() {
    case $1 in
        chromium)
            for name in chromium chromium-browser google-chrome google-chrome-stable Chromium; do
                ! command -v $name || return 0
            done
            return 1
            ;;
        go) go version | awk '{ split(substr($3, 3), v, "."); exit v[1] == 1 && v[2] + 0 < 22 }' && command -v go ;;
        maven)
            javac -version 2>&1 | awk '{ is_new = $2 + 0 >= 17 } END { exit !is_new }' && command -v mvn
            ;;
        node)
            node -e 'process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)' && npm --version >/dev/null &&
                command -v node
            ;;
        musl) command -v musl-gcc ;;
        postgresql) initdb --version | awk '{ exit $3 + 0 < 14 }' && command -v initdb ;;
        python)
            python3 -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))' && command -v python3
            ;;
        *) command -v "$1" ;;
    esac 2>/dev/null
}

# The name of a tool and its packages in Debian.
describe() {
    case $1 in
        chromium) echo 'Chromium:chromium' ;;
        go) echo 'Go 1.22 or later:golang-go' ;;
        maven) echo 'Maven and JDK 17 or later:maven default-jdk-headless' ;;
        node) echo 'Node.js 20 or later with npm:nodejs npm' ;;
        musl) echo 'musl-gcc:musl-tools' ;;
        postgresql) echo 'PostgreSQL server 14 or later:postgresql' ;;
        python) echo 'Python 3.11 or later with venv:python3 python3-venv' ;;
        taskset) echo 'taskset:util-linux' ;;
        *) echo "$1:$1" ;;
    esac
}

missing() {
    for tool; do
        find_tool "$tool" >/dev/null || describe "$tool"
    done
}

lacking=$(missing "$@")
if [ -n "$lacking" ]; then
    packages=$(echo "$lacking" | cut -d : -f 2 | tr '\n' ' ')
    if [ ! -e /etc/debian_version ]; then
        remedy='Install them with the package manager of this system and add them to the PATH.'
    elif [ "$(id -u)" != 0 ]; then
        remedy="run: sudo apt-get update && sudo apt-get install -y $packages"
    else
        export DEBIAN_FRONTEND=noninteractive
        # A package must not start its service, which would take ports of this machine.
        policy=/usr/sbin/policy-rc.d
        if [ ! -e $policy ]; then
            trap 'rm -f $policy' EXIT
            printf '#!/bin/sh\nexit 101\n' >$policy && chmod +x $policy
        fi
        # Its output is shown only when it fails.
        output=$({ apt-get update && apt-get install --yes --no-install-recommends $packages; } 2>&1) || echo "$output" >&2
        remedy='The packages of this Debian are missing, too old or incomplete. Install them from the sites of their
projects or use a newer Debian. To leave out the client suites: cargo xtask test --without clients'
        lacking=$(missing "$@")
    fi
fi
if [ -n "$lacking" ]; then
    printf 'not installed: %s\n%s\n' "$(echo "$lacking" | cut -d : -f 1 | paste -s -d , -)" "$remedy" >&2
    exit 2
fi
echo "$PATH"
for tool; do
    find_tool "$tool"
done
