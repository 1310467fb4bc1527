# What the story of the pages uses. PLACE is the page and line of the snippet that runs.
trap 'echo "failed at $PLACE" >&2' ERR

# Whether a command printed what the page promises.
expect() {
    [ "$2" = "$1" ] || { echo "$PLACE: $1 expected, got: $2" >&2; exit 1; }
}

# Starts a server, and ends it when it is ready. On a free port, since the default one may be taken.
serves() {
    local server
    DOORWARD_LISTEN__ADDRESS=127.0.0.1:0 bash -c "exec $1" > served.log 2>&1 &
    server=$!
    until grep -q ': ready issuer=' served.log; do
        kill -0 "$server" || { cat served.log >&2; exit 1; }
        sleep 0.1
    done
    kill "$server"
    wait "$server"
}

# Runs a command that creates a client, and begins the client's grant: a token, or the sign-in page.
client_works() {
    local created id secret uri scope
    created=$(eval "$1 --json")
    id=$(echo "$created" | sed -n 's/.*"client_id":"\([^"]*\)".*/\1/p')
    secret=$(echo "$created" | sed -n 's/.*"client_secret":"\([^"]*\)".*/\1/p')
    case "$1" in
    *client_credentials*)
        expect 200 "$(curl -s -o /dev/null -w '%{http_code}' "$ISSUER/token" -u "$id:$secret" -d grant_type=client_credentials)"
        ;;
    *)
        uri=$(echo "$1" | sed -n 's/.*--redirect-uri \([^ ]*\).*/\1/p')
        scope=$(echo "$1" | sed -n "s/.*--scope '\([^']*\)'.*/\1/p")
        expect "$ISSUER/sign-in/" "$(curl -s -G -o /dev/null -w '%{redirect_url}' "$ISSUER/authorize" -d response_type=code \
            --data-urlencode "client_id=$id" --data-urlencode "redirect_uri=$uri" --data-urlencode "scope=$scope" \
            -d code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM -d code_challenge_method=S256 |
            sed 's|\(/sign-in/\).*|\1|')"
        ;;
    esac
}

# Signs in and allows what an authorization request asks for, as a user with a browser would; prints the code.
code_from_browser() {
    local jar page scopes
    field() { echo "$page" | sed -n "s/.*name=\"$1\" value=\"\([^\"]*\)\".*/\1/p"; }
    action() { echo "$page" | sed -n 's/.*<form[^>]* action="\([^"]*\)".*/\1/p'; }
    jar=$(mktemp -p .)
    page=$(curl -s -L -b "$jar" -c "$jar" "$1")
    page=$(curl -s -L -b "$jar" -c "$jar" "$ISSUER$(action)" -d "csrf=$(field csrf)" -d "username=$(value username)" \
        -d "password=$(value password)")
    scopes=$(echo "$page" | sed -n 's/.*name="scope" value="\([^"]*\)".*/-d scope=\1/p')
    # The words of $scopes are arguments of their own.
    curl -s -o /dev/null -w '%{redirect_url}' -b "$jar" "$ISSUER$(action)" -d "csrf=$(field csrf)" -d decision=allow $scopes |
        sed 's/.*[?&]code=\([^&]*\).*/\1/'
}
