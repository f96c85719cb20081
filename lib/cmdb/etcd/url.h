// What an etcd:// URL says.
#ifndef FASTCONTAINER_LIB_CMDB_ETCD_URL_H_
#define FASTCONTAINER_LIB_CMDB_ETCD_URL_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace fastcontainer::etcd {

struct Endpoint {
  std::string host;  // a name or a numeric address, without brackets
  uint16_t port = 0;

  std::string ToString() const;
};

struct Options {
  std::vector<Endpoint> endpoints;
  bool tls = false;
  std::string ca;  // files; empty: the system's certificate authorities
  std::string cert;
  std::string key;
  std::string user;
  std::string password_file;
};

// etcd://host:port,host:port/?ca=/file&cert=/file&key=/file&user=name&password_file=/file. etcds:// and each
// of ca, cert and key mean TLS. Errors: InvalidArgument, which says what is accepted.
absl::StatusOr<Options> ParseUrl(std::string_view url);

}  // namespace fastcontainer::etcd

#endif  // FASTCONTAINER_LIB_CMDB_ETCD_URL_H_
