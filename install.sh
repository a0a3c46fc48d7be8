#!/bin/sh
# Installs umcp for the current user, or removes what it installed. Works offline from a folder; needs no root.
# Nothing is written before the archive's checksum is right, and every file written is named in a receipt.
# Everything runs from `main` on the last line, so that half a download does nothing.
set -eu

# Where releases live. UMCP_DOWNLOAD_URL puts another place in its stead.
RELEASES="https://github.com/umcp/umcp/releases"
BEGIN="# >>> umcp >>>"
END="# <<< umcp <<<"

JOINED=" (the line above had no end)"

usage() {
    cat <<'HELP'
Install umcp for the current user, or remove it
usage: install.sh [--no-modify-path | --uninstall | --help]

  --no-modify-path     leave the shell profiles alone; the same as UMCP_NO_MODIFY_PATH=1
  --uninstall          remove what the receipt lists; store, settings and logs stay
  UMCP_VERSION         version to install, for example 0.1.0 (default: the latest)
  UMCP_INSTALL_DIR     where the program goes (default: ~/.local/bin)
  UMCP_DOWNLOAD_URL    own mirror: http(s) URL, file: URL or plain folder that holds the archive and SHA256SUMS;
                       with UMCP_VERSION its folder v<version>

The receipt is ${XDG_STATE_HOME:-~/.local/state}/umcp/install-receipt. A user service made by `umcp gateway install`
is not in it: run `umcp gateway uninstall` before --uninstall.
HELP
}

say() { printf '%s\n' "$*"; }
fail() { printf 'error: %s\n' "$*" >&2; exit 1; }

target() { # prints this platform; Linux builds are static, so the C library does not matter
    arch=$(uname -m)
    # A shell under Rosetta says x86_64 on an arm64 machine.
    if [ "$(sysctl -n sysctl.proc_translated 2>/dev/null || true)" = 1 ]; then arch=arm64; fi
    case "$(uname -s) $arch" in
    "Linux x86_64" | "Linux amd64") say x86_64-unknown-linux-musl ;;
    "Linux aarch64" | "Linux arm64") say aarch64-unknown-linux-musl ;;
    "Darwin x86_64") say x86_64-apple-darwin ;;
    "Darwin arm64") say aarch64-apple-darwin ;;
    MINGW* | MSYS* | CYGWIN*) fail "this is Windows: run install.ps1 in PowerShell" ;;
    *) fail "no build for $(uname -s) on $arch; build from source with \`cargo install --path .\`" ;;
    esac
}

fetch() { # from, to
    case "$1" in
    http://* | https://*)
        # Who starts with https is not sent on to plain http.
        if command -v curl >/dev/null; then curl -fsSL --retry 2 --proto-redir "=${1%%:*},https" -o "$2" "$1"
        elif command -v wget >/dev/null; then wget -q -O "$2" "$1"
        else fail "curl or wget is needed to download; or set UMCP_DOWNLOAD_URL to a folder"
        fi ;;
    *) cp "$(say "$1" | sed '/^file:/{s///;s/^\/\/\(localhost\)\{0,1\}//;s/%20/ /g;}')" "$2" ;; # file: URL or folder
    esac
}

sha256() { # file
    if command -v sha256sum >/dev/null; then sha256sum <"$1"; else shasum -a 256 <"$1"; fi | cut -c 1-64
}

record() { say "$1 $2" >>"$receipt"; } # kind, path: before the thing itself, so that a broken install can be removed

make_dir() { # path: creates and records what is missing, parents first
    [ ! -d "$1" ] || return 0
    make_dir "$(dirname "$1")"
    mkdir "$1"
    record dir "$1"
}

put() { # from, to, mode: never over a file that is there; what the archive does not hold is passed over
    [ -f "$1" ] || return 0
    if [ -e "$2" ]; then say "kept $2, which this script did not install"; return 0; fi
    make_dir "$(dirname "$2")"
    record file "$2"
    cp "$1" "$2"
    chmod "$3" "$2"
}

edit_profile() { # file
    if [ ! -e "$1" ]; then make_dir "$(dirname "$1")"; record made "$1"; fi
    record block "$1"
    mark=$BEGIN
    if [ -s "$1" ] && [ -n "$(tail -c 1 "$1")" ]; then mark=$BEGIN$JOINED; echo >>"$1"; fi
    cat >>"$1" <<BLOCK
$mark
case ":\$PATH:" in *":$bin:"*) ;; *) export PATH="$bin:\$PATH" ;; esac
$END
BLOCK
}

clean_profile() { # file: takes our whole blocks out; through `cat`, because a profile may be a link
    grep -qsxF -- "$END" "$1" || return 0
    awk -v begin="$BEGIN" -v end="$END" -v joined="$BEGIN$JOINED" '
        { line[NR] = $0 }
        $0 == begin || $0 == joined { from = NR }
        $0 == end && from { for (i = from; i <= NR; i++) skip[i] = 1; open = line[from] == joined; last = NR; from = 0 }
        END { for (i = 1; i <= NR; i++) if (!skip[i]) kept[++n] = line[i]
              for (i = 1; i <= n; i++) printf "%s%s", kept[i], (i == n && open && last == NR) ? "" : "\n" }' \
        "$1" >"$work/profile"
    cat "$work/profile" >"$1"
}

edit_profiles() {
    found=
    for name in .profile .bash_profile .bash_login .bashrc; do
        if [ -f "$HOME/$name" ]; then edit_profile "$HOME/$name"; found=1; fi
    done
    zsh=${ZDOTDIR:-$HOME}
    case "${SHELL:-}" in */zsh) found=zsh ;; esac
    if [ "$found" = zsh ] || [ -f "$zsh/.zshenv" ] || [ -f "$zsh/.zshrc" ]; then edit_profile "$zsh/.zshenv"; fi
    [ -n "$found" ] || edit_profile "$HOME/.profile"
    say "fish_add_path --global --path '$bin'" >"$work/fish"
    if [ -d "$config/fish" ]; then put "$work/fish" "$config/fish/conf.d/umcp.fish" 644; fi
    say "put $bin on PATH in the shell profiles; open a new terminal to use it"
}

remove_listed() { # undoes the receipt from its end to its start
    sed '1!G;h;$!d' "$receipt" >"$work/list"
    while read -r kind path; do
        case "$kind" in
        file) rm -f "$path" ;;
        block) clean_profile "$path" ;;
        made) [ -s "$path" ] || rm -f "$path" ;;
        dir) [ "$path" = "${receipt%/*}" ] && rm -f "$receipt"; rmdir "$path" 2>/dev/null || true ;;
        esac
    done <"$work/list"
    rm -f "$receipt"
}

install() {
    version=${UMCP_VERSION:-} version=${version#v} own=${UMCP_DOWNLOAD_URL:-} own=${own%/}
    url=${own:-$RELEASES/latest/download}
    if [ -n "$version" ]; then url=${own:-$RELEASES/download}/v$version; fi
    archive=umcp-$(target).tar.gz
    from=$work/${archive%.tar.gz}
    fetch "$url/SHA256SUMS" "$work/SHA256SUMS" || fail "no SHA256SUMS at $url; nothing was installed"
    wanted=$(awk -v name="$archive" '$2 == name || $2 == "*" name { print $1 }' "$work/SHA256SUMS")
    [ -n "$wanted" ] || fail "SHA256SUMS at $url does not name $archive; nothing was installed"
    fetch "$url/$archive" "$work/$archive" || fail "could not get $url/$archive; nothing was installed"
    [ "$(sha256 "$work/$archive")" = "$wanted" ] || fail "the checksum of $archive is wrong; nothing was installed"
    tar -xzof "$work/$archive" -C "$work"
    [ -f "$from/umcp" ] || fail "$archive holds no umcp; nothing was installed"
    if [ -e "$bin/umcp" ] && ! grep -qsxF -- "file $bin/umcp" "$receipt"; then
        fail "$bin/umcp is not in the receipt of this script: remove it or set UMCP_INSTALL_DIR; nothing was installed"
    fi
    # Found on PATH already, and not through a block of ours: the profiles need no edit.
    case ":$PATH:" in *":$bin:"*) grep -qs '^block ' "$receipt" || modify_path=0 ;; esac
    if [ -f "$receipt" ]; then remove_listed; fi

    # The receipt's own folders are made before there is a receipt to name them in.
    final=$receipt receipt=$work/receipt
    : >"$receipt"
    make_dir "${final%/*}"
    chmod 700 "${final%/*}"
    cp "$receipt" "$final"
    receipt=$final
    put "$from/umcp" "$bin/umcp" 755
    if [ "$modify_path" = 1 ]; then edit_profiles; fi
    put "$from/completions/umcp.bash" "$data/bash-completion/completions/umcp" 644
    put "$from/completions/_umcp" "$data/zsh/site-functions/_umcp" 644
    put "$from/completions/umcp.fish" "$config/fish/completions/umcp.fish" 644
    for page in "$from"/man/*.1; do put "$page" "$data/man/man1/${page##*/}" 644; done
    version=$("$bin/umcp" --version </dev/null) || fail "$bin/umcp is installed, but does not run on this machine"
    say "installed $version as $bin/umcp"
}

main() {
    umask 022
    modify_path=1 action=install
    if [ "${UMCP_NO_MODIFY_PATH:-0}" != 0 ]; then modify_path=0; fi
    for argument in "$@"; do
        case "$argument" in
        --no-modify-path) modify_path=0 ;;
        --uninstall) action=uninstall ;;
        -h | --help) usage; exit 0 ;;
        *) fail "unknown argument $argument; see --help" ;;
        esac
    done
    bin=${UMCP_INSTALL_DIR:-${HOME:?is not set}/.local/bin}
    case "$bin" in /*) ;; *) bin=$PWD/$bin ;; esac
    case "$bin" in *[\"\'\`\$\\:]*) fail "no shell profile can hold this UMCP_INSTALL_DIR: $bin" ;; esac
    data=${XDG_DATA_HOME:-$HOME/.local/share} config=${XDG_CONFIG_HOME:-$HOME/.config}
    receipt=${XDG_STATE_HOME:-$HOME/.local/state}/umcp/install-receipt
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT; trap 'exit 130' INT TERM
    if [ "$action" = install ]; then install; return; fi
    [ -f "$receipt" ] || fail "no receipt at $receipt: nothing to remove"
    state=${receipt%/*} program=$(sed -n 's/^file \(.*\/umcp\)$/\1/p' "$receipt" | head -n 1)
    if [ "$(uname -s)" = Darwin ]; then data="$HOME/Library/Application Support" config=$data state=$data/umcp; fi
    if [ -e "$state/daemon.lock" ]; then "$program" gateway stop >/dev/null 2>&1 </dev/null || true; fi
    remove_listed
    say "removed umcp; kept, where they exist: $data/umcp (store), $config/umcp (settings), $state (logs)"
}

main "$@"
