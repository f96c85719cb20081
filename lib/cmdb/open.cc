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

// For messages: without passwords, as a user's (RFC 3986, 3.2.1) or as parameters.
std::string Redacted(std::string_view url) {
  std::string text(url);
  const size_t authority = text.find("://");
  if (authority == std::string::npos) return text;
  const size_t user = authority + 3;
  const size_t end = std::min(text.find('?', user), text.size());
  // A password may have an unescaped slash; the host and what follows have no @.
  const size_t at = text.substr(0, end).rfind('@');
  const size_t colon = text.find(':', user);
  if (at != std::string::npos && colon < at) text.replace(colon + 1, at - colon - 1, "***");
  for (size_t found = text.find("password="); found != std::string::npos;
       found = text.find("password=", found + 1)) {
    const size_t value = found + 9;
    text.replace(value, std::min(text.find('&', value), text.size()) - value, "***");
  }
  return text;
}

absl::Status Refuse(std::string_view url, std::string_view why) {
  return absl::InvalidArgumentError(
      absl::StrCat("CMDB \"", Redacted(url), "\": ", std::string(why), "; ", kAccepted));
}

// It becomes part of a file's name.
bool IsScheme(std::string_view scheme) {
  return !scheme.empty() && scheme.size() <= 32 && std::all_of(scheme.begin(), scheme.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
  });
}

absl::StatusOr<std::unique_ptr<Cmdb>> OpenWithPlugin(std::string_view scheme, std::string_view url,
                                                     Reactor& reactor) {
  // The same drivers: by TLS, and by the other name that libpq knows.
  std::string_view driver = scheme;
  if (scheme == "etcds") driver = "etcd";
  if (scheme == "postgres") driver = "postgresql";
  const absl::StatusOr<const CmdbPlugin*> plugin = LoadCmdbPlugin(driver);
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
