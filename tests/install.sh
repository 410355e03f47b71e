#!/usr/bin/env bash
# What the tests need beside the project's own environment: PostgreSQL's server programs, Node.js, strace,
# Kannel, tshark, Chromium, npm packages (`smpp`, `axe-core`, the phones JsSIP and SIP.js), the phones sipp, baresip, linphonec and
# twinkle-console, Kamailio as a trunk, the mail programs Postfix, Dovecot and swaks, and environments for the
# foreign SMPP peers and API clients in Python.
# Installs by the system's package manager where it may. What cannot be had is said loudly; with CI=true it
# is a failure. Does nothing, and needs no network, when everything is there.
set -euo pipefail
cd "$(dirname "$0")/interop"

have_postgresql() {
    command -v initdb >/dev/null || compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null
}

have_kannel() {
    PATH="$PATH:/usr/sbin" command -v bearerbox >/dev/null
}

have_kamailio() {
    PATH="$PATH:/usr/sbin" command -v kamailio >/dev/null && compgen -G '/usr/lib/*/kamailio/modules/tls.so' >/dev/null
}

have_postfix() {
    [ -x /usr/sbin/postfix ]
}

have_dovecot() {
    [ -x /usr/sbin/dovecot ] && [ -x /usr/lib/dovecot/imap-login ]
}

have_npm() {
    [ -f node_modules/smpp/package.json ] && [ -f node_modules/jssip/package.json ] && [ -f node_modules/axe-core/package.json ] && [ ! package-lock.json -nt node_modules/.package-lock.json ]
}

have_venv() { # NAME: built from NAME.txt as it is now
    [ -f "venv-$1/.stamp" ] && [ ! "$1.txt" -nt "venv-$1/.stamp" ]
}

make_venv() {
    echo "Installing the foreign peers of $1.txt …"
    rm -rf "venv-$1"
    "${PYTHON:-python3}" -m venv "venv-$1" &&
        "venv-$1/bin/python" -m pip --disable-pip-version-check install --quiet -r "$1.txt" &&
        touch "venv-$1/.stamp"
}

missing=()
have_postgresql || missing+=(postgresql)
command -v node >/dev/null || missing+=(nodejs)
command -v sipp >/dev/null || missing+=(sip-tester)
command -v baresip >/dev/null || missing+=(baresip-core)
command -v linphonec >/dev/null || missing+=(linphone-cli)
command -v twinkle-console >/dev/null || missing+=(twinkle-console)
have_kamailio || missing+=(kamailio kamailio-tls-modules)
command -v openssl >/dev/null || missing+=(openssl)
command -v strace >/dev/null || missing+=(strace)
command -v telnet >/dev/null || missing+=(telnet)
command -v tmux >/dev/null || missing+=(tmux)
command -v nc >/dev/null || missing+=(netcat-openbsd)
command -v ssh-keygen >/dev/null || missing+=(openssh-client)
have_npm || command -v npm >/dev/null || missing+=(npm)
have_kannel || missing+=(kannel)
have_postfix || missing+=(postfix)
have_dovecot || missing+=(dovecot-imapd)
command -v swaks >/dev/null || missing+=(swaks libnet-ssleay-perl libnet-dns-perl)
command -v tshark >/dev/null || missing+=(tshark)
command -v chromium >/dev/null || missing+=(chromium)

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
command -v twinkle-console >/dev/null || lacking+=("twinkle-console (Debian: twinkle-console)")
have_kamailio || lacking+=("Kamailio with TLS (Debian: kamailio, kamailio-tls-modules)")
command -v strace >/dev/null || lacking+=("strace (Debian: strace)")
have_kannel || lacking+=("Kannel (Debian: kannel)")
have_postfix || lacking+=("Postfix (Debian: postfix)")
have_dovecot || lacking+=("Dovecot (Debian: dovecot-imapd)")
command -v swaks >/dev/null || lacking+=("swaks (Debian: swaks, libnet-ssleay-perl)")
command -v tshark >/dev/null || lacking+=("tshark (Debian: tshark)")
command -v chromium >/dev/null || lacking+=("Chromium (Debian: chromium)")
if ! have_npm; then
    if command -v npm >/dev/null; then
        echo "Installing the npm packages …"
        npm ci --ignore-scripts --no-audit --no-fund --loglevel=error </dev/null || lacking+=("the npm packages axe-core, smpp, jssip, sip.js, ws")
    else
        lacking+=("npm (Debian: npm), for the npm packages axe-core, smpp, jssip, sip.js, ws")
    fi
fi
for name in peers twisted3 clients; do
    have_venv "$name" || make_venv "$name" || lacking+=("the packages of tests/interop/$name.txt (PyPI)")
done

if [ ${#lacking[@]} != 0 ]; then
    printf '!!! The tests lack %s\n' "${lacking[@]}" >&2
    case ${CI:-} in
        1 | true) exit 1 ;;
    esac
    echo '!!! What needs it will be skipped. Install it, then: make test' >&2
    exit 0
fi
touch node_modules/.stamp
