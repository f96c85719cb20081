// What a postgresql:// URL asks for: libpq's parameters, with this driver's defaults, and its own.
#ifndef FASTCONTAINER_LIB_CMDB_POSTGRESQL_OPTIONS_H_
#define FASTCONTAINER_LIB_CMDB_POSTGRESQL_OPTIONS_H_

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace fastcontainer::postgresql {

struct Options {
  using Keywords = std::map<std::string, std::string>;

  std::string schema = "fastcontainer";
  // One for each host of the URL, in its order, to be tried in turn: libpq would begin with the first each
  // time, also when that one swallows packets.
  std::vector<Keywords> hosts;
};

// `postgresql://...` or `postgres://...` as libpq takes it (PostgreSQL documentation, 34.1.1.2), and
// `schema=NAME` among the parameters. InvalidArgument: what is wrong, never with what may be a password.
absl::StatusOr<Options> ParseUrl(std::string_view url);

}  // namespace fastcontainer::postgresql

#endif  // FASTCONTAINER_LIB_CMDB_POSTGRESQL_OPTIONS_H_
