#!/usr/bin/env bash
# Install Lectern and every locked requirement into one Python:  cluster/install.sh PYTHON LOCK
#
# llama-cpp-python is published as source only. It is built in its smallest form, without the programs and the vision
# part, and the wheel is kept: pip's own cache does not know which CMake flags a wheel was built with.
#   LECTERN_WHEELHOUSE  where the wheel is kept (default: ~/.cache/lectern/wheelhouse)
#   CMAKE_ARGS          more flags for llama.cpp, such as -DGGML_CUDA=on or -DGGML_NATIVE=OFF
set -euo pipefail
python=$1 lock=$2
here=$(cd "$(dirname "$0")" && pwd)
for tool in cc c++ cmake; do
  command -v "$tool" >/dev/null || { echo "install.sh: needs $tool: apt-get install build-essential cmake" >&2; exit 1; }
done
version=$(sed -n 's/^# *llama-cpp-python==\([0-9.]*[0-9]\).*/\1/p' "$lock" | head -n 1)
[ -n "$version" ] || { echo "install.sh: $lock names no '# llama-cpp-python==VERSION'" >&2; exit 1; }
flags="${CMAKE_ARGS:-} -DLLAVA_BUILD=OFF -DCMAKE_PROJECT_llama_cpp_INCLUDE=$here/llama-no-common.cmake"
# The build uses this processor's own instructions, so a shared home may need several wheels.
key=$({ echo "${CMAKE_ARGS:-}"; c++ --version | head -n 1; grep -m 1 '^flags' /proc/cpuinfo || uname -m; } | sha256sum | cut -c1-8)
wheels="${LECTERN_WHEELHOUSE:-$HOME/.cache/lectern/wheelhouse}/$version-$key"
pip() { "$python" -m pip --disable-pip-version-check "$@"; }

if ! compgen -G "$wheels/*.whl" >/dev/null; then
  echo "  building llama.cpp $version (three to five minutes on two cores, once per machine)"
  rm -rf "$wheels.partial" && mkdir -p "$wheels.partial"
  CMAKE_ARGS="$flags" pip wheel --quiet --no-deps --no-cache-dir --wheel-dir "$wheels.partial" "llama-cpp-python==$version"
  mv "$wheels.partial" "$wheels"
fi
echo "  installing $(grep -c '==' "$lock") packages"
pip install --quiet --use-pep517 --requirement "$lock"
pip install --quiet --no-deps "$wheels"/*.whl
pip install --quiet --no-deps --editable "$here/.."
