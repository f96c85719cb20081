#include <algorithm>
#include <memory>
#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "fastcontainer/cmdb.h"
#include "lib/cmdb/memory.h"
#include "lib/cmdb/plugin.h"
#if FASTCONTAINER_HAVE_SQLITE
#include "lib/cmdb/sqlite.h"
#endif

namespace fastcontainer {
namespace {

#if FASTCONTAINER_HAVE_SQLITE
constexpr const char* kAccepted =
    "accepted are memory:NAME, sqlite:/absolute/path, etcd://HOST:PORT[,HOST:PORT], postgresql://...";
#else
constexpr const char* kAccepted =
    "accepted are memory:NAME, etcd://HOST:PORT[,HOST:PORT], postgresql://... (this build has no SQLite)";
#endif

absl::Status Refuse(std::string_view url, std::string_view why) {
  return absl::InvalidArgumentError(
      absl::StrCat("CMDB \"", std::string(url), "\": ", std::string(why), "; ", kAccepted));
}

// It becomes part of a file's name.
bool IsScheme(std::string_view scheme) {
  return !scheme.empty() && scheme.size() <= 32 && std::all_of(scheme.begin(), scheme.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
  });
}

absl::StatusOr<std::unique_ptr<Cmdb>> OpenWithPlugin(std::string_view scheme, std::string_view url,
                                                     Reactor& reactor) {
  // The same driver, by TLS.
  const absl::StatusOr<const CmdbPlugin*> plugin = LoadCmdbPlugin(scheme == "etcds" ? "etcd" : scheme);
  if (plugin.ok()) return (*plugin)->open(url, reactor);
  const std::string why(plugin.status().message());
  if (absl::IsNotFound(plugin.status()))
    return Refuse(url, absl::StrCat("no driver for \"", std::string(scheme), "\": ", why));
  return absl::Status(plugin.status().code(),
                      absl::StrCat("CMDB driver for ", std::string(scheme), ": ", why));
}

}  // namespace

absl::StatusOr<std::unique_ptr<Cmdb>> OpenCmdb(std::string_view url, Reactor& reactor) {
  const size_t colon = url.find(':');
  if (colon == std::string_view::npos) return Refuse(url, "it has no scheme");
  const std::string_view scheme = url.substr(0, colon);
  const std::string_view rest = url.substr(colon + 1);
  if (scheme == "memory") return std::make_unique<MemoryCmdb>(MemoryStore::Named(rest), reactor);
  if (scheme == "sqlite") {
#if FASTCONTAINER_HAVE_SQLITE
    if (rest.starts_with('/') && rest.find('\0') == std::string_view::npos)
      return SqliteCmdb::Open(std::string(rest), reactor);
    return Refuse(url, "expected an absolute path, as in sqlite:/var/lib/fastcontainer/cmdb.sqlite");
#else
    return Refuse(url, "this build has no SQLite");
#endif
  }
  if (!IsScheme(scheme)) return Refuse(url, "this is no scheme");
  return OpenWithPlugin(scheme, url, reactor);
}

}  // namespace fastcontainer
