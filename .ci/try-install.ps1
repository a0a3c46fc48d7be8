# Tries the real install.ps1 against an archive made of the given program: twice, then uninstall, then a wrong checksum.
# What tests/it/install.rs is to install.sh. Changes the user's PATH and puts it back: meant for CI machines.
param([Parameter(Mandatory)][string]$Program)
$ErrorActionPreference = 'Stop'
$work = Join-Path ([IO.Path]::GetTempPath()) ([IO.Path]::GetRandomFileName())
$arm = (Get-ItemProperty 'HKLM:\SYSTEM\CurrentControlSet\Control\Session Manager\Environment').PROCESSOR_ARCHITECTURE -eq 'ARM64'
$name = if ($arm) { 'umcp-aarch64-pc-windows-msvc' } else { 'umcp-x86_64-pc-windows-msvc' }
[void](New-Item -ItemType Directory -Path "$work\$name\completions")
Copy-Item $Program "$work\$name\umcp.exe"
Set-Content "$work\$name\completions\_umcp.ps1" '# completions'
Compress-Archive -Path "$work\$name" -DestinationPath "$work\$name.zip"
$hash = (Get-FileHash -Algorithm SHA256 "$work\$name.zip").Hash.ToLower()
Set-Content "$work\SHA256SUMS" "$hash  $name.zip"

function Assert([bool]$Condition, [string]$What) { if (-not $Condition) { throw "not so: $What" } }
function UserPath { [string](Get-Item HKCU:\Environment).GetValue('Path', '', 'DoNotExpandEnvironmentNames') }

$env:UMCP_DOWNLOAD_URL = $work
$env:UMCP_INSTALL_DIR = "$work\bin"
$receipt = "$env:LOCALAPPDATA\umcp\install-receipt"
$script = Join-Path $PSScriptRoot '..\install.ps1'
$before = UserPath

& $script
$once = Get-Content $receipt
& $script
Assert ("$(Get-Content $receipt)" -eq "$once") 'a second install leaves the same receipt'
Assert (@((UserPath) -split ';' | Where-Object { $_ -eq "$work\bin" }).Count -eq 1) 'PATH names the folder once'
& "$work\bin\umcp.exe" --version
Assert ($LASTEXITCODE -eq 0) 'the installed program runs'

& $script -Uninstall
Assert (-not (Test-Path "$work\bin")) 'the program and its folder are gone'
Assert (-not (Test-Path $receipt)) 'the receipt is gone'
Assert ((UserPath) -eq $before) 'PATH is as before'

foreach ($sums in "$('0' * 64)  $name.zip", "$hash  another.zip", $null) {
    if ($sums) { Set-Content "$work\SHA256SUMS" $sums } else { Remove-Item "$work\SHA256SUMS" }
    $refused = try { & $script; $false } catch { "$_" -match 'nothing was installed' }
    Assert ($refused -eq $true) "refused with checksums: $sums"
    Assert (-not (Test-Path "$work\bin")) 'a refusal writes nothing'
}
Remove-Item -Recurse -Force $work
Write-Host 'install.ps1 does what it says'
