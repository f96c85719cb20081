// The configuration of fc-proxy: one JSON file.
#ifndef FASTCONTAINER_EXAMPLES_PROXY_CONFIG_H_
#define FASTCONTAINER_EXAMPLES_PROXY_CONFIG_H_

#include <sys/socket.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "examples/proxy/address.h"

namespace proxy {

struct TimeoutConfig {  // ms
  uint32_t header = 10000;
  uint32_t body = 60000;
  uint32_t send = 60000;
  uint32_t idle = 60000;
  uint32_t connect = 1000;
  uint32_t response = 60000;
  uint32_t tunnel = 600000;
  // Less than the 5 s after which Apache closes, so that it is seldom the container who closes first.
  uint32_t upstream_idle = 4000;
  // Longer than a lost host needs to be noticed; 0: nothing is held back.
  uint32_t hold = 100;
  uint32_t wait = 0;
  uint32_t start = 0;
  uint32_t drain = 30000;
};

struct LimitConfig {
  uint32_t connections = 0;  // 0: what the limit of open files allows
  uint32_t upstream_idle = 256;
  uint32_t queue_per_container = 0;
  uint32_t queue_total = 0;
  uint32_t relocations_per_second = 0;
  uint32_t relocation_burst = 0;
};

struct DispatcherConfig {
  std::string host;
  std::string address;
  std::string state_directory;
  std::string log_directory;
  std::string runtime;
  std::string labels;  // JSON
  uint32_t port = 0;
  uint32_t port_first = 0;
  uint32_t port_last = 0;
  uint32_t max_starts = 0;
  uint32_t max_containers = 0;
  double cpu = 0;
  uint64_t memory = 0;
};

// Zero and empty mean the library's default.
struct Config {
  sockaddr_storage listen = {};
  sockaddr_storage admin = {};  // family AF_UNSPEC: none
  std::optional<sockaddr_storage> fixed_upstream;
  uint32_t workers = 1;
  std::string takeover;  // the Unix socket at which a process takes over from the one before
  std::string cmdb;
  std::string cluster_key_file;
  std::string name;
  std::string bind;
  std::vector<std::string> witnesses;
  AddressSet trusted;              // proxies and load balancers in front
  bool proxy_protocol = false;     // they speak it
  std::vector<std::string> peers;  // other proxies: address:port of their `bind`
  double confirm = 1;
  uint32_t admission = 0;  // FC_ADMISSION_
  bool paper = false;
  bool prepare = true;
  bool no_relocation = false;
  std::string snapshot;
  std::string log = "-";
  int32_t log_level = 1;  // FC_LOG_INFO, of the library's messages
  TimeoutConfig timeouts;
  LimitConfig limits;
  uint32_t freshness = 0;  // ms, as the next two
  uint32_t guard = 0;
  uint32_t service_deadline = 0;
  std::optional<DispatcherConfig> dispatcher;
};

// Nothing, and *error names the field, if something is wrong with the text.
std::optional<Config> ParseConfig(std::string_view text, std::string* error);
// The same for a file; "-" is standard input.
std::optional<Config> ReadConfig(const std::string& path, std::string* error);

// That of worker `index`: what processes of one configuration cannot share is its own.
Config ForWorker(Config config, uint32_t index);

// "127.0.0.1:80", "[::1]:80". Numeric only: a name could need a resolver, which waits.
bool ParseAddress(const std::string& text, sockaddr_storage* address);
bool IsLoopback(const sockaddr_storage& address);
std::string FormatAddress(const sockaddr_storage& address);

}  // namespace proxy

#endif  // FASTCONTAINER_EXAMPLES_PROXY_CONFIG_H_
