#!/bin/sh
# Builds the consumers with what pkg-config says, and runs them.
set -eu
prefix=$1 libdir=$2 source=$3 out=$4 sanitize=$5
PKG_CONFIG_PATH=$prefix/$libdir/pkgconfig
export PKG_CONFIG_PATH
flags="-Wall -Werror"
if [ -n "$sanitize" ]; then flags="$flags -fsanitize=$sanitize"; fi
# The flags are meant to be split.
# shellcheck disable=SC2046,SC2086
$CC $flags "$source/engine.c" $(pkg-config --cflags --libs fastcontainer) -o "$out/pkg_config_engine_c"
# shellcheck disable=SC2046,SC2086
$CXX $flags -x c++ "$source/engine.c" -x none $(pkg-config --cflags --libs fastcontainer) -o "$out/pkg_config_engine_cxx"
# shellcheck disable=SC2046,SC2086
$CC $flags "$source/prober.c" $(pkg-config --cflags --libs fastcontainer-probe) -o "$out/pkg_config_prober"
LD_LIBRARY_PATH=$prefix/$libdir
export LD_LIBRARY_PATH
"$out/pkg_config_engine_c"
"$out/pkg_config_engine_cxx"
"$out/pkg_config_prober"
