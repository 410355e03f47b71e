#!/usr/bin/env bash
# What the tests need beside Python: PostgreSQL's server programs, strace, Node.js, npm packages (`smpp`, and the
# phones JsSIP and SIP.js), and the phones sipp, baresip and linphonec.
# Installs by the system's package manager where it may. What cannot be had is said loudly; with CI=true it
# is a failure. Does nothing, and needs no network, when everything is there.
set -euo pipefail
cd "$(dirname "$0")/interop"

have_postgresql() {
    command -v initdb >/dev/null || compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null
}

missing=()
have_postgresql || missing+=(postgresql)
command -v node >/dev/null || missing+=(nodejs)
command -v sipp >/dev/null || missing+=(sip-tester)
command -v baresip >/dev/null || missing+=(baresip-core)
command -v linphonec >/dev/null || missing+=(linphone-cli)
command -v openssl >/dev/null || missing+=(openssl)
command -v strace >/dev/null || missing+=(strace)
if [ ! -f node_modules/smpp/package.json ] || [ ! -f node_modules/jssip/package.json ] || [ package-lock.json -nt node_modules/.package-lock.json ]; then
    command -v npm >/dev/null || missing+=(npm)
fi

as_root=()
if [ "$(id -u)" != 0 ]; then
    as_root=(sudo -n)
fi

if [ ${#missing[@]} != 0 ] && command -v apt-get >/dev/null && "${as_root[@]}" true 2>/dev/null; then
    echo "Installing ${missing[*]} …"
    log=$(mktemp)
    if ! { "${as_root[@]}" apt-get update -q &&
        "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends \
            "${missing[@]}"; } >"$log" 2>&1 </dev/null; then
        tail -n 20 "$log" >&2
    fi
    rm -f "$log"
fi

lacking=()
have_postgresql || lacking+=("PostgreSQL's server (Debian: postgresql)")
command -v node >/dev/null || lacking+=("Node.js (Debian: nodejs)")
command -v sipp >/dev/null || lacking+=("sipp (Debian: sip-tester)")
command -v baresip >/dev/null || lacking+=("baresip (Debian: baresip-core)")
command -v linphonec >/dev/null || lacking+=("linphonec (Debian: linphone-cli)")
command -v strace >/dev/null || lacking+=("strace (Debian: strace)")
if [ ! -f node_modules/smpp/package.json ] || [ ! -f node_modules/jssip/package.json ] || [ package-lock.json -nt node_modules/.package-lock.json ]; then
    if command -v npm >/dev/null; then
        echo "Installing the npm packages …"
        npm ci --ignore-scripts --no-audit --no-fund --loglevel=error </dev/null || lacking+=("the npm packages smpp, jssip, sip.js, ws")
    else
        lacking+=("npm (Debian: npm), for the npm packages smpp, jssip, sip.js, ws")
    fi
fi

if [ ${#lacking[@]} != 0 ]; then
    printf '!!! The tests lack %s\n' "${lacking[@]}" >&2
    case ${CI:-} in
        1 | true) exit 1 ;;
    esac
    echo '!!! What needs it will be skipped. Install it, then: make test' >&2
    exit 0
fi
touch node_modules/.stamp
