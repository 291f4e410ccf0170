#!/bin/sh
# Installs what `make interop` needs from Debian: a JDK (17 or newer), Maven, PostgreSQL,
# Chromium and Node. Does nothing when all is present. With --check it only says what is missing (exit 1).
set -eu

missing=""

jdk_is_recent() {
    command -v javac >/dev/null 2>&1 || return 1
    major=$(javac -version 2>&1 | sed -n 's/^javac \([0-9]*\).*/\1/p')
    [ "${major:-0}" -ge 17 ]
}

postgres_is_here() {
    for program in /usr/lib/postgresql/*/bin/postgres; do
        [ -x "$program" ] && return 0
    done
    return 1
}

jdk_is_recent || missing="$missing jdk"
command -v mvn >/dev/null 2>&1 || missing="$missing maven"
postgres_is_here || missing="$missing postgresql"
command -v chromium >/dev/null 2>&1 || missing="$missing chromium"
command -v node >/dev/null 2>&1 || missing="$missing nodejs"
command -v npm >/dev/null 2>&1 || missing="$missing npm"

if [ -z "$missing" ]; then
    echo "interop: JDK, Maven, PostgreSQL, Chromium and Node are present"
    exit 0
fi
echo "interop: missing:$missing"
[ "${1:-}" != "--check" ] || exit 1

if ! command -v apt-get >/dev/null 2>&1; then
    echo "interop: no apt-get here; install by hand: JDK 17 or newer, Maven, PostgreSQL, Chromium, Node" >&2
    exit 1
fi
as_root=""
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null 2>&1; then
        echo "interop: run me as root, or install sudo" >&2
        exit 1
    fi
    as_root="sudo"
fi

$as_root apt-get update
packages=""
for thing in $missing; do
    if [ "$thing" = jdk ]; then
        # Debian 12 has 17; a later Debian only newer ones, which do as well.
        if apt-cache show openjdk-17-jdk-headless >/dev/null 2>&1; then
            thing=openjdk-17-jdk-headless
        else
            thing=default-jdk-headless
        fi
    fi
    packages="$packages $thing"
done
echo "interop: installing$packages"
# shellcheck disable=SC2086 # the list is meant to be split
$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $packages
