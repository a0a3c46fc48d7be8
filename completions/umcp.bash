# Completion of umcp for bash; every Tab asks `umcp __complete`.
_umcp() {
    local IFS=$'\n' line current words
    # `=` and `:` break words in bash but not in umcp: take the line apart at blanks alone.
    line=${COMP_LINE:0:COMP_POINT}
    IFS=$' \t' read -r -a words <<<"$line"
    case $line in *[[:blank:]]) words+=("") ;; esac
    current=${words[${#words[@]} - 1]}
    local prefix=${current%"${COMP_WORDS[COMP_CWORD]}"}
    [ "$prefix" = "$current" ] && [ -n "${COMP_WORDS[COMP_CWORD]}" ] && prefix=""
    COMPREPLY=()
    while IFS= read -r line; do
        line=${line%%$'\t'*}
        COMPREPLY+=("${line#"$prefix"}")
    done < <("${words[0]}" __complete -- "${words[@]:1}" 2>/dev/null)
    # The value follows the name of an argument at once.
    case ${COMPREPLY[0]-} in *=) compopt -o nospace 2>/dev/null ;; esac
}
complete -o default -F _umcp umcp
