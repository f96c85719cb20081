#include <memory>
#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "fastcontainer/cmdb.h"
#include "lib/cmdb/memory.h"
#if FASTCONTAINER_HAVE_SQLITE
#include "lib/cmdb/sqlite.h"
#endif

namespace fastcontainer {
namespace {

#if FASTCONTAINER_HAVE_SQLITE
constexpr const char* kAccepted = "accepted are \"memory:NAME\" and \"sqlite:/absolute/path\"";
#else
constexpr const char* kAccepted = "accepted is \"memory:NAME\" (this build has no SQLite)";
#endif

}  // namespace

absl::StatusOr<std::unique_ptr<Cmdb>> OpenCmdb(std::string_view url, Reactor& reactor) {
  const size_t colon = url.find(':');
  const std::string_view scheme = url.substr(0, colon);
  const std::string_view rest = colon == std::string_view::npos ? "" : url.substr(colon + 1);
  if (colon == std::string_view::npos) {
    return absl::InvalidArgumentError(
        absl::StrCat("CMDB \"", std::string(url), "\" has no scheme; ", kAccepted));
  }
  if (scheme == "memory") return std::make_unique<MemoryCmdb>(MemoryStore::Named(rest), reactor);
#if FASTCONTAINER_HAVE_SQLITE
  if (scheme == "sqlite") {
    if (!rest.starts_with('/') || rest.find('\0') != std::string_view::npos) {
      return absl::InvalidArgumentError(absl::StrCat("CMDB \"", std::string(url),
                                                     "\": expected an absolute path, as in "
                                                     "sqlite:/var/lib/fastcontainer/cmdb.sqlite"));
    }
    return SqliteCmdb::Open(std::string(rest), reactor);
  }
#endif
  return absl::InvalidArgumentError(absl::StrCat("CMDB \"", std::string(url), "\": the scheme \"",
                                                 std::string(scheme), "\" is not known; ", kAccepted));
}

}  // namespace fastcontainer
