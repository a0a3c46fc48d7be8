# Completion of umcp for elvish; every Tab asks `umcp __complete`.
use str
set edit:completion:arg-completer[umcp] = {|@words|
    umcp __complete -- (all $words[1..]) 2>/dev/null | from-lines | each {|line|
        var parts = [(str:split &max=2 "\t" $line)]
        if (== (count $parts) 2) {
            edit:complex-candidate $parts[0] &display=$parts[0]' ('$parts[1]')'
        } else {
            put $parts[0]
        }
    }
}
