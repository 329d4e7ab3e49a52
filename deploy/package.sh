#!/usr/bin/env bash
# Installs what is missing, builds the client and the agents for both architectures, and makes a Debian package
# of them in build/package. Its path is printed last.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

./deploy/install-packages.sh cross
cmake --preset release -DLITEPULL_CROSS_AGENT=ON
cmake --build --preset release
rm -rf build/package
cpack --config build/release/CPackConfig.cmake -B build/package
rm -r build/package/_CPack_Packages
ls "$PWD"/build/package/*.deb
