# Builds what is measured as it is shipped. $1 Cargo, $2 the target folder, $3 the part of the benchmark.
set -e
"$1" build --profile dist --target-dir "$2" --package doorward --package doorward-bench-store
[ "$3" != scale ] || exit 0
# The floor is outside the workspace with a lock file of its own.
"$1" build --profile dist --target-dir "$2" --bins --examples --locked --manifest-path bench/floor/Cargo.toml
mkdir -p "$2/bench/oidc-provider"
if [ "$3" = all ]; then
    # What npm leaves behind does not belong among the sources.
    cp bench/oidc-provider/package.json bench/oidc-provider/package-lock.json bench/oidc-provider/server.mjs \
        "$2/bench/oidc-provider"
    cd "$2/bench/oidc-provider"
    npm ci --no-audit --no-fund --prefer-offline >/dev/null
fi
