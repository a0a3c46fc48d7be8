# Installs umcp for the current user on Windows, or removes what it installed. Works offline from a folder; needs no
# administrator. Nothing is written before the archive's checksum is right, and every file written is in a receipt.
# Everything runs from `Main` on the last line, so that half a download does nothing.
param([switch]$NoModifyPath, [switch]$Uninstall, [switch]$Help)
$ErrorActionPreference = 'Stop'
$ProgressPreference = 'SilentlyContinue' # the progress bar of Windows PowerShell slows downloads down many times

# Where releases live. UMCP_DOWNLOAD_URL puts another place in its stead.
$Releases = 'https://github.com/umcp/umcp/releases'
$State = Join-Path $env:LOCALAPPDATA 'umcp'
$Receipt = Join-Path $State 'install-receipt'

function Show-Usage {
    @'
Install umcp for the current user, or remove it

usage: install.ps1 [-NoModifyPath | -Uninstall | -Help]

  -NoModifyPath        leave the user's PATH alone; the same as UMCP_NO_MODIFY_PATH=1
  -Uninstall           remove what the receipt lists; store, settings and logs stay

  UMCP_VERSION         version to install, for example 0.1.0 (default: the latest)
  UMCP_INSTALL_DIR     where the program goes (default: %USERPROFILE%\.local\bin)
  UMCP_DOWNLOAD_URL    own mirror: http(s) URL, file: URL or plain folder that holds the archive and SHA256SUMS;
                       with UMCP_VERSION its folder v<version>

The receipt is %LOCALAPPDATA%\umcp\install-receipt. A task made by `umcp gateway install` is not in it: run
`umcp gateway uninstall` before -Uninstall.
'@
}

function Get-Target {
    # A 32-bit or emulated shell sees its own processor; the registry has the machine's.
    $key = 'HKLM:\SYSTEM\CurrentControlSet\Control\Session Manager\Environment'
    $processor = (Get-ItemProperty -Path $key).PROCESSOR_ARCHITECTURE
    switch ($processor) {
        'AMD64' { return 'x86_64-pc-windows-msvc' }
        'ARM64' { return 'aarch64-pc-windows-msvc' }
        default { throw "no build for processor $processor; build from source with ``cargo install --path .``" }
    }
}

function Get-Source {
    $version = "$env:UMCP_VERSION" -replace '^v', ''
    if ($version) {
        $base = if ($env:UMCP_DOWNLOAD_URL) { $env:UMCP_DOWNLOAD_URL.TrimEnd('/', '\') } else { "$Releases/download" }
        return "$base/v$version"
    }
    if ($env:UMCP_DOWNLOAD_URL) { return $env:UMCP_DOWNLOAD_URL.TrimEnd('/', '\') }
    return "$Releases/latest/download"
}

function Get-Remote([string]$From, [string]$To) {
    if ($From -match '^https?://') {
        # Windows PowerShell offers old TLS versions first.
        [Net.ServicePointManager]::SecurityProtocol =
            [Net.ServicePointManager]::SecurityProtocol -bor [Net.SecurityProtocolType]::Tls12
        Invoke-WebRequest -UseBasicParsing -Uri $From -OutFile $To
    }
    elseif ($From -match '^file:') { Copy-Item -LiteralPath ([Uri]$From).LocalPath -Destination $To }
    else { Copy-Item -LiteralPath $From -Destination $To }
}

# Before the thing itself, so that a broken install can be removed.
function Add-Record([string]$Kind, [string]$Value) {
    [IO.File]::AppendAllText($Receipt, "$Kind $Value`n") # UTF-8 without a mark, in every PowerShell
}

function New-Folder([string]$Path) {
    if (Test-Path -LiteralPath $Path) { return }
    New-Folder (Split-Path -Parent $Path)
    [void][IO.Directory]::CreateDirectory($Path)
    Add-Record 'dir' $Path
}

function Copy-Ours([string]$From, [string]$To) {
    if (-not (Test-Path -LiteralPath $From)) { return }
    if (Test-Path -LiteralPath $To) { Write-Host "kept $To, which this script did not install"; return }
    New-Folder (Split-Path -Parent $To)
    Add-Record 'file' $To
    Copy-Item -LiteralPath $From -Destination $To
}

# The user's PATH as written, with %NAMES% not expanded: writing expanded values back would freeze them.
function Get-UserPath {
    $key = [Microsoft.Win32.Registry]::CurrentUser.OpenSubKey('Environment')
    try { return [string]$key.GetValue('Path', '', 'DoNotExpandEnvironmentNames') } finally { $key.Dispose() }
}

function Set-UserPath([string]$Value) {
    $key = [Microsoft.Win32.Registry]::CurrentUser.OpenSubKey('Environment', $true)
    try { $key.SetValue('Path', $Value, 'ExpandString') } finally { $key.Dispose() }
    # Running programs hear of the change only through this call; the variable itself is never set.
    [Environment]::SetEnvironmentVariable('UMCP_PATH_CHANGED', $null, 'User')
}

function Add-ToPath([string]$Folder) {
    $old = Get-UserPath
    if (($old -split ';') -contains $Folder) { return }
    Add-Record 'path' $Folder
    Set-UserPath $(if ($old) { "$Folder;$old" } else { $Folder })
    Write-Host "put $Folder on your PATH; open a new terminal to use it"
}

function Remove-FromPath([string]$Folder) {
    $old = Get-UserPath
    $parts = @($old -split ';')
    $at = [Array]::IndexOf($parts, $Folder)
    if ($at -lt 0) { return }
    Set-UserPath (@(for ($i = 0; $i -lt $parts.Count; $i++) { if ($i -ne $at) { $parts[$i] } }) -join ';')
}

# Undoes the receipt from its end to its start. The program goes first: if it runs, nothing has been touched.
function Remove-Listed {
    $lines = @(Get-Content -LiteralPath $Receipt -Encoding UTF8)
    foreach ($line in $lines) {
        if ($line -like 'file *\umcp.exe' -and (Test-Path -LiteralPath $line.Substring(5))) {
            # Windows does not delete a program that runs.
            if (Test-Path -LiteralPath "$State\data\daemon.lock") {
                try { & $line.Substring(5) gateway stop *> $null } catch { Write-Host 'could not stop the daemon' }
            }
            try { Remove-Item -LiteralPath $line.Substring(5) -Force }
            catch { throw "$($line.Substring(5)) is in use: close the programs that run umcp and try again" }
        }
    }
    [Array]::Reverse($lines)
    foreach ($line in $lines) {
        $kind, $value = $line -split ' ', 2
        switch ($kind) {
            'file' { if (Test-Path -LiteralPath $value) { Remove-Item -LiteralPath $value -Force } }
            'path' { Remove-FromPath $value }
            'dir' {
                if ($value -eq $State) { Remove-Item -LiteralPath $Receipt -Force }
                if ((Test-Path -LiteralPath $value) -and -not (Get-ChildItem -LiteralPath $value -Force)) {
                    Remove-Item -LiteralPath $value
                }
            }
        }
    }
    if (Test-Path -LiteralPath $Receipt) { Remove-Item -LiteralPath $Receipt -Force }
}

function Install-Umcp([string]$Bin, [string]$Work) {
    $archive = "umcp-$(Get-Target).zip"
    $url = Get-Source
    try { Get-Remote "$url/SHA256SUMS" "$Work\SHA256SUMS" }
    catch { throw "no SHA256SUMS at ${url}; nothing was installed ($_)" }
    $wanted = @(Get-Content -LiteralPath "$Work\SHA256SUMS" | ForEach-Object { , ($_ -split '\s+\*?', 2) } |
            Where-Object { $_.Count -eq 2 -and $_[1].Trim() -eq $archive } | ForEach-Object { $_[0] })
    if ($wanted.Count -ne 1) { throw "SHA256SUMS at $url does not name $archive once; nothing was installed" }
    try { Get-Remote "$url/$archive" "$Work\$archive" }
    catch { throw "could not get $url/${archive}; nothing was installed ($_)" }
    if ((Get-FileHash -Algorithm SHA256 -LiteralPath "$Work\$archive").Hash -ne $wanted[0]) {
        throw "the checksum of $archive is wrong; nothing was installed"
    }
    Expand-Archive -LiteralPath "$Work\$archive" -DestinationPath $Work
    $from = Join-Path $Work ($archive -replace '\.zip$', '')
    if (-not (Test-Path -LiteralPath "$from\umcp.exe")) { throw "$archive holds no umcp.exe; nothing was installed" }
    $program = Join-Path $Bin 'umcp.exe'
    $listed = (Test-Path -LiteralPath $Receipt) -and
        (@(Get-Content -LiteralPath $Receipt -Encoding UTF8) -contains "file $program")
    if ((Test-Path -LiteralPath $program) -and -not $listed) {
        throw "$program is not in the receipt of this script: remove it or set UMCP_INSTALL_DIR; nothing was installed"
    }
    if (Test-Path -LiteralPath $Receipt) { Remove-Listed }

    $made = -not (Test-Path -LiteralPath $State)
    [void][IO.Directory]::CreateDirectory($State)
    if ($made) { Add-Record 'dir' $State }
    Copy-Ours "$from\umcp.exe" $program
    Copy-Ours "$from\completions\_umcp.ps1" (Join-Path $State 'completions\umcp.ps1')
    if (-not ($NoModifyPath -or ($env:UMCP_NO_MODIFY_PATH -and $env:UMCP_NO_MODIFY_PATH -ne '0'))) { Add-ToPath $Bin }
    Write-Host "installed $(& $program --version) as $program"
    Write-Host "for completions, add to your profile:  . '$(Join-Path $State 'completions\umcp.ps1')'"
}

function Main {
    if ($Help) { Show-Usage; return }
    if ($Uninstall) {
        if (-not (Test-Path -LiteralPath $Receipt)) { throw "no receipt at ${Receipt}: nothing to remove" }
        Remove-Listed
        Write-Host "removed umcp; kept, where they exist: $State (store, logs) and $env:APPDATA\umcp (settings)"
        return
    }
    $bin = if ($env:UMCP_INSTALL_DIR) { $env:UMCP_INSTALL_DIR } else { Join-Path $env:USERPROFILE '.local\bin' }
    $bin = $ExecutionContext.SessionState.Path.GetUnresolvedProviderPathFromPSPath($bin)
    $work = Join-Path ([IO.Path]::GetTempPath()) ([IO.Path]::GetRandomFileName())
    [void](New-Item -ItemType Directory -Path $work)
    try { Install-Umcp $bin $work } finally { Remove-Item -LiteralPath $work -Recurse -Force }
}

Main
