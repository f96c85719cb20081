// A driver that was built with another version of the library.
#include "fastcontainer/cmdb_plugin.h"

extern "C" __attribute__((visibility("default"))) const fastcontainer::CmdbPlugin*
fastcontainer_cmdb_plugin() {
  static constexpr fastcontainer::CmdbPlugin kPlugin{"0.0.9+1", nullptr};
  return &kPlugin;
}
