# Read by CMake when llama.cpp's project starts. Lectern uses the library alone; the programs' shared code triples the build.
set(LLAMA_BUILD_COMMON OFF)
