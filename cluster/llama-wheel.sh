#!/usr/bin/env bash
# Build llama-cpp-python in its smallest form, once per machine:  llama-wheel.sh PYTHON LOCK WHEELHOUSE
# The wheel is kept, because pip's own cache does not know the CMake flags that it was built with.
set -euo pipefail
python=$1 lock=$2 wheelhouse=$3
version=$(sed -n 's/^# *llama-cpp-python==//p' "$lock")
[ -n "$version" ] || { echo "no '# llama-cpp-python==VERSION' line in $lock" >&2; exit 1; }
if compgen -G "$wheelhouse/llama_cpp_python-$version-*.whl" >/dev/null; then
  exit 0
fi
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$wheelhouse"
echo "building llama-cpp-python $version (three to five minutes on two cores, once per machine)"
CMAKE_ARGS="${CMAKE_ARGS:-} -DLLAVA_BUILD=OFF -DCMAKE_PROJECT_llama_cpp_INCLUDE=$here/llama-no-common.cmake" \
  "$python" -m pip wheel --quiet --no-deps --no-cache-dir --wheel-dir "$wheelhouse" "llama-cpp-python==$version"
