# Completion of umcp for fish; every Tab asks `umcp __complete`.
function __umcp_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    set -l program $words[1]
    set -e words[1]
    $program __complete -- $words "$current" 2>/dev/null
end
complete -c umcp -a '(__umcp_complete)'
