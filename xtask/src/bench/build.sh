# Builds what is measured as it is shipped. $1 Cargo, $2 the target folder, $3 the part of the benchmark.
set -e
"$1" build --profile dist --target-dir "$2" --package doorward --package doorward-bench-store
[ "$3" != scale ] || exit 0
# The floor is outside the workspace with a lock file of its own.
"$1" build --profile dist --target-dir "$2" --bins --examples --locked --manifest-path bench/floor/Cargo.toml
# What npm leaves behind does not belong among the sources.
peer() {
    mkdir -p "$1/bench/$2"
    cp "bench/$2/package.json" "bench/$2/package-lock.json" "bench/$2"/*.mjs "$1/bench/$2"
    cd "$1/bench/$2"
    # Where Node.js has its headers, an addon that needs compiling does not fetch them.
    if [ -d /usr/include/node ]; then
        export npm_config_nodedir=/usr
    fi
    npm ci --no-audit --no-fund --prefer-offline >/dev/null
}
case "$3" in
all) peer "$2" oidc-provider ;;
better-auth) peer "$2" better-auth ;;
esac
