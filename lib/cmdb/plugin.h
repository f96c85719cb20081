// Drivers in shared objects of their own: where they are looked for, and how they are loaded.
#ifndef FASTCONTAINER_LIB_CMDB_PLUGIN_H_
#define FASTCONTAINER_LIB_CMDB_PLUGIN_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "fastcontainer/cmdb_plugin.h"

namespace fastcontainer {

// libfastcontainer-cmdb-SCHEME.so
std::string CmdbPluginFile(std::string_view scheme);

// In this order: those of $FASTCONTAINER_PLUGIN_PATH (colons between them; not read by a program with more
// rights than its user), `fastcontainer/` beside the library or program that this code is in, the library
// folder of the same prefix, the library folder of the installation.
std::vector<std::string> CmdbPluginFolders();

// The driver for a scheme, loaded at the first call and then kept. Any thread. Errors: NotFound (the file is
// in none of the folders, which are named), Unavailable (it cannot be loaded, or is of another version: why).
absl::StatusOr<const CmdbPlugin*> LoadCmdbPlugin(std::string_view scheme);

}  // namespace fastcontainer

#endif  // FASTCONTAINER_LIB_CMDB_PLUGIN_H_
