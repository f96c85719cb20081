#include "lib/cmdb/plugin.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace fastcontainer {
namespace {

static_assert(std::string_view(kCmdbPluginVersion).substr(0, sizeof(FASTCONTAINER_VERSION)) ==
                  FASTCONTAINER_VERSION "+",
              "cmdb_plugin.h names another version than the build");

constexpr char kEntry[] = "fastcontainer_cmdb_plugin";

std::string ParentOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : path.substr(0, slash);
}

// The folder of the file that this code was loaded from; empty if that cannot be told.
std::string OwnFolder() {
  Dl_info info{};
  if (dladdr(reinterpret_cast<const void*>(&OwnFolder), &info) == 0 || info.dli_fname == nullptr) return "";
  char* const resolved = realpath(info.dli_fname, nullptr);
  // Of a program dladdr tells argv[0], which is no path if the shell looked for it.
  char* const path = resolved != nullptr ? resolved : realpath("/proc/self/exe", nullptr);
  const std::string folder = path == nullptr ? "" : ParentOf(path);
  free(path);
  return folder;
}

std::string DlError() {
  const char* const error = dlerror();
  return error == nullptr ? "no reason was given" : error;
}

absl::StatusOr<const CmdbPlugin*> LoadFile(const std::string& path) {
  // Never unloaded: its code may be in the middle of an exit handler or a thread-local destructor.
  void* const handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  if (handle == nullptr) return absl::UnavailableError(absl::StrCat("cannot load ", path, ": ", DlError()));
  const auto entry = reinterpret_cast<CmdbPluginEntry>(dlsym(handle, kEntry));
  if (entry == nullptr) {
    return absl::UnavailableError(
        absl::StrCat(path, " is no CMDB driver: it does not export ", std::string(kEntry)));
  }
  const CmdbPlugin* const plugin = entry();
  const std::string_view version = plugin == nullptr || plugin->version == nullptr ? "" : plugin->version;
  if (version != kCmdbPluginVersion) {
    return absl::UnavailableError(
        absl::StrCat(path, " is of version ", version.empty() ? "none" : std::string(version),
                     ", this library of version ", kCmdbPluginVersion, "; they must be built together"));
  }
  return plugin;
}

bool IsThere(const std::string& path) {
  struct stat status {};
  return stat(path.c_str(), &status) == 0;
}

}  // namespace

std::string CmdbPluginFile(std::string_view scheme) {
  return absl::StrCat("libfastcontainer-cmdb-", std::string(scheme), ".so");
}

std::vector<std::string> CmdbPluginFolders() {
  std::vector<std::string> folders;
  const auto add = [&folders](std::string folder) {
    if (!folder.empty() && std::find(folders.begin(), folders.end(), folder) == folders.end())
      folders.push_back(std::move(folder));
  };
  const char* const variable = secure_getenv("FASTCONTAINER_PLUGIN_PATH");
  std::string_view rest = variable == nullptr ? "" : variable;
  while (!rest.empty()) {
    const size_t colon = std::min(rest.find(':'), rest.size());
    add(std::string(rest.substr(0, colon)));
    rest.remove_prefix(std::min(colon + 1, rest.size()));
  }
  if (const std::string own = OwnFolder(); !own.empty()) {
    add(absl::StrCat(own, "/fastcontainer"));
    add(absl::StrCat(ParentOf(own), "/lib/fastcontainer"));
    add(absl::StrCat(ParentOf(own), "/" FASTCONTAINER_LIBDIR "/fastcontainer"));
  }
  add(FASTCONTAINER_FULL_LIBDIR "/fastcontainer");
  return folders;
}

absl::StatusOr<const CmdbPlugin*> LoadCmdbPlugin(std::string_view scheme) {
  struct Loaded {
    std::mutex mutex;
    std::map<std::string, const CmdbPlugin*, std::less<>> plugins;
  };
  static Loaded* const loaded = new Loaded;  // never destroyed: threads may outlive main()
  const std::lock_guard<std::mutex> lock(loaded->mutex);
  if (const auto found = loaded->plugins.find(scheme); found != loaded->plugins.end()) return found->second;
  const std::string file = CmdbPluginFile(scheme);
  const std::vector<std::string> folders = CmdbPluginFolders();
  for (const std::string& folder : folders) {
    const std::string path = absl::StrCat(folder, "/", file);
    if (!IsThere(path)) continue;
    absl::StatusOr<const CmdbPlugin*> plugin = LoadFile(path);
    if (plugin.ok()) loaded->plugins.emplace(std::string(scheme), *plugin);
    return plugin;
  }
  return absl::NotFoundError(absl::StrCat(file, " is in none of ", absl::StrJoin(folders, ", ")));
}

}  // namespace fastcontainer
