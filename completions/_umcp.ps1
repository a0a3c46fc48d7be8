# Completion of umcp for PowerShell; every Tab asks `umcp __complete`.
Register-ArgumentCompleter -Native -CommandName umcp -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)
    $words = @($commandAst.CommandElements | Where-Object { $_.Extent.EndOffset -lt $cursorPosition -or $_.Extent.Text -ne $wordToComplete } | Select-Object -Skip 1 | ForEach-Object { $_.Extent.Text })
    & umcp __complete '--' @words $wordToComplete 2>$null | ForEach-Object {
        $name, $about = $_ -split "`t", 2
        if (-not $about) { $about = $name }
        [System.Management.Automation.CompletionResult]::new($name, $name, 'ParameterValue', $about)
    }
}
