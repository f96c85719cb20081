// What a driver in a shared object of its own exports. OpenCmdb() looks for libfastcontainer-cmdb-SCHEME.so
// when a URL has a scheme that is not built in.
#ifndef FASTCONTAINER_CMDB_PLUGIN_H_
#define FASTCONTAINER_CMDB_PLUGIN_H_

#include <memory>
#include <string_view>

#include "absl/status/statusor.h"
#include "fastcontainer/cmdb.h"
#include "fastcontainer/reactor.h"

namespace fastcontainer {

// The library's version, and after the sign a number that is raised when cmdb.h or reactor.h changes in
// between: a driver is a C++ object, so only one that was built against the same headers can be used.
inline constexpr char kCmdbPluginVersion[] = "0.1.0+2";

struct CmdbPlugin {
  const char* version;  // first for ever: it is read before anything else is believed
  // As OpenCmdb(): the whole URL, and a reactor that outlives what is returned. On the loop's thread.
  absl::StatusOr<std::unique_ptr<Cmdb>> (*open)(std::string_view url, Reactor& reactor);
};

// The symbol `fastcontainer_cmdb_plugin` is a function that returns a CmdbPlugin, which lives for ever, as
// the shared object does: it is never unloaded.
using CmdbPluginEntry = const CmdbPlugin* (*)();

}  // namespace fastcontainer

// Defines the entry; `open_function` is CmdbPlugin::open.
#define FASTCONTAINER_CMDB_PLUGIN(open_function)                                              \
  extern "C" __attribute__((visibility("default"))) const ::fastcontainer::CmdbPlugin*        \
  fastcontainer_cmdb_plugin() {                                                               \
    static constexpr ::fastcontainer::CmdbPlugin kPlugin{::fastcontainer::kCmdbPluginVersion, \
                                                         open_function};                      \
    return &kPlugin;                                                                          \
  }

#endif  // FASTCONTAINER_CMDB_PLUGIN_H_
